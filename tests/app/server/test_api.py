"""The API inside this process: what is answered, and what is refused, and in which words."""

import asyncio
import base64
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

httpx = pytest.importorskip("httpx")
pytest.importorskip("fastapi")

from mien.app.server.application import application  # noqa: E402
from mien.app.server.pages import policy_of  # noqa: E402
from mien.app.server.settings import Report, Settings, State  # noqa: E402
from mien.jobs.serving import Service  # noqa: E402
from serving_fakes import BrightClassifier, predictor  # noqa: E402

PNG = {"Content-Type": "image/png"}
TOKEN = "a token of some length"


class Asked:
    """Sends requests to an application, one loop each."""

    def __init__(self, **settings: Any) -> None:
        self.state = State(Settings(max_body=2**20, **settings))
        self.service = Service(predictor(), workers=2)
        self.app = application(self.service, self.state)

    def __call__(self, method: str, path: str, **given: Any) -> Any:
        async def go() -> Any:
            transport = httpx.ASGITransport(self.app)
            async with httpx.AsyncClient(transport=transport, base_url="http://127.0.0.1") as c:
                return await c.request(method, path, **given)

        return asyncio.run(go())


@pytest.fixture(scope="module")
def ask() -> Iterator[Asked]:
    made = Asked()
    yield made
    made.service.close()


def test_three_ways_to_send_a_picture(ask: Asked, picture: bytes) -> None:
    raw = ask("POST", "/v1/predict", content=picture, headers=PNG)
    form = ask("POST", "/v1/predict", files={"image": ("n.png", picture, "image/png")})
    text = ask("POST", "/v1/predict", json={"image": base64.b64encode(picture).decode()})
    assert raw.status_code == 200
    assert raw.json() == form.json() == text.json()
    said = raw.json()
    assert said["picture"] == {"width": 160, "height": 120}
    (face,) = said["faces"]
    assert face["box"] == {"left": 50, "top": 30, "width": 60, "height": 60, "angle": 0}
    assert sum(face["probabilities"].values()) == pytest.approx(1, abs=1e-4)
    assert face["answer"] == ("unsure" if face["confidence"] < 0.3 else face["label"])


def test_whole_crops_small_pictures_and_what_is_no_face(ask: Asked) -> None:
    import cv2

    def send(pixels: np.ndarray, query: str = "") -> list[dict[str, Any]]:
        data = cv2.imencode(".png", pixels)[1].tobytes()
        reply = ask("POST", f"/v1/predict{query}", content=data, headers=PNG)
        assert reply.status_code == 200
        return reply.json()["faces"]

    grey = np.full((48, 48), 90, np.uint8)
    assert send(grey) == []
    (face,) = send(grey, "?whole=true")
    assert face["box"] is None
    assert face["answer"] == "unsure"  # seven equal shares
    black = np.zeros((100, 100), np.uint8)
    assert send(black) == []
    (other,) = send(black, "?keep_others=true")
    assert other["answer"] == "not a face"


def test_explain_is_a_png_of_the_asked_face(ask: Asked, picture: bytes) -> None:
    import cv2

    reply = ask("POST", "/v1/explain", content=picture, headers=PNG)
    assert reply.headers["content-type"] == "image/png"
    assert reply.headers["mien-method"] == "occlusion"
    assert reply.headers["mien-box"] == "50,30,60,60,0"
    shown = cv2.imdecode(np.frombuffer(reply.content, np.uint8), cv2.IMREAD_UNCHANGED)
    assert shown.shape == (240, 240, 3)
    # "sad" is the brightness of rows 27 to 34; there alone it must speak for it.
    crop = np.full((48, 48), 60, np.uint8)
    crop[27:35] = 160
    data = cv2.imencode(".png", crop)[1].tobytes()
    reply = ask("POST", "/v1/explain?form=map&whole=true", content=data, headers=PNG)
    assert reply.headers["mien-target"] == "sad"
    shown = cv2.imdecode(np.frombuffer(reply.content, np.uint8), cv2.IMREAD_UNCHANGED)
    assert shown.shape == (240, 240, 4)
    weight = shown[:, :, 3].astype(float).mean(axis=1)
    assert 110 < int(weight.argmax()) < 200
    assert weight[155] > 4 * weight[20]
    assert shown[155, 120, 2] > 150 > shown[155, 120, 0]  # vermillion


def test_gradients_are_explained_over_http(tmp_path: Path) -> None:
    import cv2

    pytest.importorskip("torch")
    from exported import small
    from mien.app.commands.serve import _network
    from mien.data.synthetic import generate
    from mien.jobs.serving import picture_of
    from mien.models.checkpoint import save_model
    from mien.predict.pipeline import load

    save_model(tmp_path / "model.safetensors", small())
    made = load(tmp_path, detector="none", backend="torch", threads=1)
    service = Service(made, network=_network(str(tmp_path)))
    app = application(service, State(Settings()))

    async def go(method: str) -> Any:
        transport = httpx.ASGITransport(app)
        async with httpx.AsyncClient(transport=transport, base_url="http://127.0.0.1") as c:
            return await c.post(f"/v1/explain?target=fear&form=map&method={method}", content=data,
                                headers=PNG)  # fmt: skip

    data = cv2.imencode(".png", generate(1, seed=3).images[0, 0])[1].tobytes()
    shown = {}
    for method in ("gradcam", "integrated_gradients"):
        reply = asyncio.run(go(method))
        assert reply.status_code == 200, reply.text
        assert (reply.headers["mien-method"], reply.headers["mien-target"]) == (method, "fear")
        pixels = cv2.imdecode(np.frombuffer(reply.content, np.uint8), cv2.IMREAD_UNCHANGED)
        one = service.explain(service.prepare(data, whole=True), target="fear", method=method)
        wanted = cv2.cvtColor(picture_of(one, "map"), cv2.COLOR_RGBA2BGRA)
        assert np.abs(pixels.astype(int) - wanted.astype(int)).max() <= 1
        shown[method] = pixels
    assert (shown["gradcam"] != shown["integrated_gradients"]).any()
    service.close()


@pytest.mark.parametrize(
    ("given", "status", "says"),
    [
        ({"content": b"x", "headers": {"Content-Type": "text/plain"}}, 415, "Content-Type"),
        ({"content": b"x"}, 415, "Content-Type"),
        ({"content": b"", "headers": PNG}, 400, "no picture"),
        ({"content": b"not a picture", "headers": PNG}, 422, "JPEG"),
        ({"json": {"image": "%%%"}}, 400, "base64"),
        ({"json": {"picture": "aaaa"}}, 400, '"image"'),
        ({"json": [1]}, 400, "object"),
        ({"content": b"{", "headers": {"Content-Type": "application/json"}}, 400, "JSON"),
        ({"files": {"other": b"x"}}, 400, "exactly one"),
        ({"files": [("image", b"x"), ("image", b"y")]}, 400, "exactly one"),
        ({"content": b"x", "headers": {"Content-Type": "multipart/form-data"}}, 400, "boundary"),
        (
            {"content": b"x", "headers": {"Content-Type": "multipart/form-data; boundary=b"}},
            400,
            "curl -F",
        ),
        ({"content": b"x", "headers": {**PNG, "Content-Encoding": "gzip"}}, 415, "compressed"),
        ({"content": b"0" * (2**20 + 1), "headers": PNG}, 413, "1 MiB"),
        ({"content": b"x", "headers": {**PNG, "Host": "evil.example"}}, 421, "--allow-host"),
        ({"content": b"x", "headers": {**PNG, "Origin": "http://evil.example"}}, 403, "own page"),
        ({"content": b"x", "headers": {**PNG, "Origin": "null"}}, 403, "own page"),
    ],
)
def test_refusals_say_what_to_do(ask: Asked, given: dict[str, Any], status: int, says: str) -> None:
    reply = ask("POST", "/v1/predict", **given)
    assert reply.status_code == status
    assert says in reply.json()["error"]["message"]
    assert reply.headers["content-security-policy"].startswith("default-src 'none'")
    assert ask.state.places.taken == 0


def test_bad_options_are_told_by_name(ask: Asked, picture: bytes) -> None:
    for query, says in [
        ("method=magic", "occlusion"), ("target=joy", "happy"), ("box=1,2", "left,top"),
        ("box=900,900,5,5", "picture"), ("box=1,1,nan,5", "left,top"), ("form=x", "form"),
        ("whole=perhaps", "whole"),
    ]:  # fmt: skip
        reply = ask("POST", f"/v1/explain?{query}", content=picture, headers=PNG)
        assert reply.status_code == 400, query
        assert says in reply.json()["error"]["message"]
    assert ask("GET", "/nothing").json()["error"]["message"].endswith("see /docs")
    assert ask("GET", "/v1/predict").status_code == 405


def tensor(crops: np.ndarray) -> dict[str, Any]:
    return {"name": "images", "datatype": "UINT8", "shape": list(crops.shape),
            "data": crops.ravel().tolist()}  # fmt: skip


def test_v2_in_json_and_in_binary(ask: Asked) -> None:
    crops = np.random.default_rng(0).integers(0, 256, (3, 1, 48, 48), dtype=np.uint8)
    wanted = BrightClassifier().classify(crops)
    path = "/v2/models/bright/infer"
    said = ask("POST", path, json={"id": "7", "inputs": [tensor(crops)]}).json()
    assert said["id"] == "7"
    shares = np.array(said["outputs"][0]["data"]).reshape(said["outputs"][0]["shape"])
    np.testing.assert_allclose(shares, wanted.probabilities, atol=1e-6)
    assert [one["name"] for one in said["outputs"]] == ["probabilities", "novelty"]
    head = json.dumps({
        "inputs": [{"name": "images", "datatype": "UINT8", "shape": [3, 1, 48, 48],
                    "parameters": {"binary_data_size": crops.size}}],
        "outputs": [{"name": "probabilities", "parameters": {"binary_data": True}}],
    }).encode()  # fmt: skip
    reply = ask("POST", path, content=head + crops.tobytes(), headers={
        "Content-Type": "application/octet-stream",
        "Inference-Header-Content-Length": str(len(head)),
    })  # fmt: skip
    size = int(reply.headers["inference-header-content-length"])
    assert json.loads(reply.content[:size])["outputs"][0]["parameters"]["binary_data_size"] == 84
    np.testing.assert_array_equal(
        np.frombuffer(reply.content[size:], "<f4").reshape(3, 7), wanted.probabilities
    )


def test_v2_describes_itself_and_refuses_in_its_own_form(ask: Asked) -> None:
    said = ask("GET", "/v2/models/bright").json()
    assert said["inputs"][0]["shape"] == [-1, 1, 48, 48]
    assert ask("GET", "/v2").json()["name"] == "mien"
    assert ask("GET", "/v2/health/ready").status_code == 200
    assert "bright" in ask("GET", "/v2/models/dark").json()["error"]
    crops = np.zeros((1, 1, 48, 48), np.uint8)
    for change, says in [
        ({"shape": [1, 48, 48]}, "N×1×48×48"), ({"datatype": "FP32"}, "UINT8"),
        ({"data": [1]}, "2304"), ({"data": [0.5] * 2304}, "whole"), ({"data": [-1] * 2304}, "255"),
        ({"shape": [257, 1, 48, 48]}, "256"), ({"data": [[1], 2]}, "data"),
        ({"parameters": {"binary_data_size": 4}}, "binary_data_size"),
    ]:  # fmt: skip
        body = {"inputs": [{**tensor(crops), **change}]}
        reply = ask("POST", "/v2/models/bright/infer", json=body)
        assert reply.status_code == 400
        assert says in reply.json()["error"], change


def test_the_token_guards_all_but_the_page_and_health(picture: bytes) -> None:
    ask = Asked(token=TOKEN)
    for path in ("/", "/web/page.js", "/docs", "/openapi.json", "/v2/health/live"):
        assert ask("GET", path).status_code == 200, path
    for path in ("/v1/model", "/metrics", "/reports/0", "/v2/models/bright"):
        reply = ask("GET", path)
        assert (reply.status_code, reply.headers["www-authenticate"]) == (401, "Bearer")
    wrong = {"Authorization": f"Bearer {TOKEN}x"}
    assert ask("POST", "/v1/predict", content=picture, headers={**PNG, **wrong}).status_code == 401
    right = {"Authorization": f"Bearer {TOKEN}"}
    assert ask("POST", "/v1/predict", content=picture, headers={**PNG, **right}).status_code == 200
    cookie = ask("POST", "/v1/session", headers=right).headers["set-cookie"]
    assert "HttpOnly" in cookie
    assert "SameSite=strict" in cookie
    assert TOKEN not in cookie
    again = {"Cookie": cookie.partition(";")[0]}
    assert ask("GET", "/v1/model", headers=again).status_code == 200
    assert ask("GET", "/v1/model", headers={"Cookie": "mien=other"}).status_code == 401
    assert ask("GET", "/openapi.json").json()["components"]["securitySchemes"]
    ask.service.close()


def test_no_room_is_said_at_once_and_closing_too(picture: bytes) -> None:
    ask = Asked(queue=1)
    assert ask.state.places.take()
    reply = ask("POST", "/v1/predict", content=picture, headers=PNG)
    assert (reply.status_code, reply.headers["retry-after"]) == (503, "1")
    ask.state.places.give()
    ask.state.closing = True
    reply = ask("POST", "/v1/predict", content=picture, headers=PNG)
    assert (reply.status_code, reply.headers["connection"]) == (503, "close")
    assert ask("GET", "/v2/health/ready").status_code == 503
    assert ask("GET", "/v2/health/live").status_code == 200
    ask.service.close()


def test_a_report_runs_only_its_own_script_in_a_sandbox() -> None:
    page = b"<script>alert(1)</script><script type='application/json'>{}</script>"
    ask = Asked(reports=(Report(name="r", page=page),))
    policy = ask("GET", "/reports/0").headers["content-security-policy"]
    # echo -n 'alert(1)' | openssl dgst -sha256 -binary | base64
    assert "script-src 'sha256-bhHHL3z2vDgxUt0W3dWQOrprscmda2Y5pLsLg4GF+pI='" in policy
    assert "sandbox allow-scripts" in policy
    assert "allow-same-origin" not in policy
    assert "script-src 'none'" in policy_of(Report(name="r", page=b"<p>"))
    assert ask("GET", "/reports/1").status_code == 404
    ask.service.close()


def test_malformed_pictures_are_answered_with_faces_or_4xx(ask: Asked, malformed: Path) -> None:
    import zipfile

    with zipfile.ZipFile(malformed) as archive:
        names = [name for name in archive.namelist() if not name.endswith("/")]
        seen = set()
        for name in names:
            data = archive.read(name)
            reply = ask("POST", "/v1/predict", content=data, headers=PNG)
            seen.add(reply.status_code)
            assert reply.status_code in (200, 400, 413, 422), name
            assert "faces" in reply.json() or reply.json()["error"]["message"]
            assert Path(name).stem not in reply.text
    assert {200, 422} <= seen
