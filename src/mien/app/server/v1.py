"""mien's own API: pictures to faces with expressions, and what an answer rests on."""

import json
import math
from typing import Annotated, Any, Literal

import cv2
import numpy as np
from fastapi import APIRouter, Query, Request, Response
from numpy.typing import NDArray

from mien.app.server import bodies
from mien.app.server.facts import facts
from mien.app.server.guard import COOKIE, IMAGE_TYPES
from mien.app.server.refusals import Refused
from mien.app.server.schemas import PREDICTED_EXAMPLE, Failed, Predicted, failures, picture_body
from mien.app.server.settings import State
from mien.app.server.threads import awaited
from mien.errors import DataError, MienError, OptionError
from mien.jobs.serving import Map, Prepared, Service, picture_of
from mien.types import Box

_FAILURES = failures(
    Failed,
    s400="The body holds no picture, or an option cannot be used.",
    s401="The token is missing.",
    s408="The body came too slowly.",
    s413="The body is over the limit.",
    s415="The content type is none of those listed.",
    s422="The picture cannot be read, or shows no face to explain.",
    s503="The queue is full; Retry-After says when to come back.",
)
Whole = Annotated[bool, Query(description="The picture is one face crop; look for no faces.")]
Keep = Annotated[
    bool, Query(description="Also return what the detector took for a face, the network not.")
]


def answer(data: Any, status: int = 200) -> Response:
    """JSON; floats as they are, text as text."""
    body = json.dumps(data, ensure_ascii=False, allow_nan=False, separators=(",", ":"))
    return Response(body, status, media_type="application/json")


def picture_refused(error: MienError) -> Refused:
    """A picture that cannot be read, or an option that cannot be used, as an answer."""
    if isinstance(error, OptionError):
        return Refused(400, "option", str(error))
    return Refused(422, "picture", f"{error}; send a JPEG or PNG file")


_PREDICT: dict[str, Any] = {
    "response_model": Predicted, "summary": "Faces and their expressions",
    "responses": {200: {"content": {"application/json": {"example": PREDICTED_EXAMPLE}}},
                  **_FAILURES},
    "openapi_extra": {"requestBody": picture_body(IMAGE_TYPES)},
}  # fmt: skip
_EXPLAIN: dict[str, Any] = {
    "summary": "What an answer rests on, as a picture", "response_class": Response,
    "responses": {
        200: {
            "content": {"image/png": {"schema": {"type": "string", "format": "binary"}}},
            "description": "A PNG, 240×240. Mien-Target and Mien-Method say of what and how; "
            "Mien-Box where the face lies in the upright picture.",
        },
        **_FAILURES,
        501: {"model": Failed, "description": "The method needs the extra 'train'."},
    },
    "openapi_extra": {"requestBody": picture_body(IMAGE_TYPES)},
}  # fmt: skip


class Pictures:
    """The two routes that take a picture; its body has been read at the door."""

    def __init__(self, service: Service) -> None:
        self._service, self._pool = service, service.pool

    async def predict(
        self, request: Request, whole: Whole = False, keep_others: Keep = False
    ) -> Response:
        """Send one picture: its bytes with their content type, a form, or base64 in JSON.

        Nothing of it is kept. A face shows an expression; that is not what a person feels.
        """
        service, faces = self._service, []
        found = await self._prepared(await _picture(request), None, whole)
        if len(found.crops):
            scores = await awaited(service.gather.submit(found.crops))
            faces = service.faces(found, scores, keep_others=keep_others)
        return answer({
            "model": service.name,
            "classes": list(service.classes),
            "picture": {"width": found.width, "height": found.height},
            "faces": [face.to_json() for face in faces],
        })  # fmt: skip

    async def explain(
        self,
        request: Request,
        box: Annotated[
            str, Query(description="left,top,width,height[,angle] as /v1/predict gave them; the "
                       "largest face by default.", examples=["210.5,96,181.2,181.2"]),
        ] = "",
        whole: Whole = False,
        target: Annotated[str, Query(description="A class; the answer by default.")] = "",
        method: Annotated[str, Query(description="Of attribution; see /v1/model.")] = "",
        form: Annotated[
            Literal["overlay", "map"],
            Query(description="Laid over the crop, or alone and transparent."),
        ] = "overlay",
    ) -> Response:  # fmt: skip
        """Which pixels speak for the answer (vermillion) and against it (blue)."""
        place = _box(box) if box else None
        found = await self._prepared(await _picture(request), place, whole)
        if not len(found.crops):
            raise Refused(422, "no_face", "no face was found; send box=…, or whole=true for a crop")
        try:
            one = await awaited(
                self._pool.submit(self._service.explain, found, target=target, method=method)
            )
        except ModuleNotFoundError as error:
            raise Refused(501, "extra", "this method needs torch: install 'mien[train]' on the "
                          "server, or ask for method=occlusion") from error  # fmt: skip
        except MienError as error:
            raise picture_refused(error) from error
        shown = await awaited(self._pool.submit(picture_of, one, form))
        return Response(_png(shown), media_type="image/png", headers=_about(one))

    async def _prepared(self, data: bytes, box: Box | None, whole: bool) -> Prepared:
        try:
            if box is not None:
                return await awaited(self._pool.submit(self._service.prepare_at, data, box))
            return await awaited(self._pool.submit(self._service.prepare, data, whole=whole))
        except (DataError, OptionError) as error:
            raise picture_refused(error) from error


def router(service: Service, state: State) -> APIRouter:
    """The routes under /v1."""
    made, pictures = APIRouter(prefix="/v1"), Pictures(service)
    made.post("/predict", **_PREDICT)(pictures.predict)
    made.post("/explain", **_EXPLAIN)(pictures.explain)

    @made.get("/model", summary="The model, its card and its limits",
              responses=failures(Failed, s401="The token is missing."))  # fmt: skip
    async def model() -> Response:
        """What the model is, how well it was measured, what it is for and must not be used for."""
        return answer(facts(service, state))

    @made.post(
        "/session", summary="Turn the token into a cookie, for pages", status_code=204,
        response_class=Response, responses=failures(Failed, s401="The token is missing."),
    )  # fmt: skip
    async def session(request: Request) -> Response:
        """The cookie is HttpOnly and SameSite=Strict, and ends with the browser's session."""
        reply = Response(status_code=204)
        if state.settings.token:
            reply.set_cookie(COOKIE, state.session, httponly=True, samesite="strict",
                             secure=request.url.scheme == "https")  # fmt: skip
        return reply

    return made


async def _picture(request: Request) -> bytes:
    return bodies.picture_of(await request.body(), request.headers.get("content-type", ""))


def _box(text: str) -> Box:
    """Raises: Refused."""
    try:
        numbers = [float(part) for part in text.split(",")]
    except ValueError:
        numbers = []
    good = len(numbers) in (4, 5) and all(math.isfinite(n) and abs(n) < 1e5 for n in numbers)
    if not good or min(numbers[2:4]) < 1:
        raise Refused(400, "option", "box: write it as left,top,width,height or with ,angle at "
                      "the end, in pixels")  # fmt: skip
    names = ("left", "top", "width", "height", "angle")
    return Box(**dict(zip(names, numbers, strict=False)))


def _about(one: Map) -> dict[str, str]:
    said = {"Mien-Target": one.target, "Mien-Method": one.method}
    if one.box is not None:
        said["Mien-Box"] = ",".join(f"{number:g}" for number in one.box.to_json().values())
    return said


def _png(pixels: NDArray[np.uint8]) -> bytes:
    order = cv2.COLOR_RGBA2BGRA if pixels.shape[2] == 4 else cv2.COLOR_RGB2BGR
    good, data = cv2.imencode(".png", cv2.cvtColor(pixels, order))
    assert good
    return data.tobytes()
