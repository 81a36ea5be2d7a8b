"""Requests that carry a mark in their pixels and in every name, and the search for it."""

import base64
import json
from collections.abc import Iterator

import cv2
import numpy as np

MARK = b"canary7QxW"
PIXELS = bytes([201, 3, 187, 59, 241, 17, 133, 77])


def picture() -> bytes:
    """A picture that repeats the marked pixels."""
    row = np.frombuffer(PIXELS * 27, np.uint8)
    return cv2.imencode(".bmp", np.tile(row.reshape(1, 72, 3), (72, 1, 1)))[1].tobytes()


def marked(count: int) -> Iterator[tuple[str, bytes, dict[str, str]]]:
    """Path, body and headers of ``count`` requests: good ones and all kinds of bad ones."""
    image, name = picture(), MARK.decode()
    png = cv2.imencode(".png", cv2.imdecode(np.frombuffer(image, np.uint8), 1))[1].tobytes()
    form = (
        f'--b{name}\r\nContent-Disposition: form-data; name="image"; filename="{name}.bmp"\r\n'
        f"Content-Type: image/bmp\r\nX-{name}: {name}\r\n\r\n"
    ).encode() + image + f"\r\n--b{name}--\r\n".encode()  # fmt: skip
    tensor = {"inputs": [{"name": name, "datatype": name, "shape": [1], "data": [name]}]}
    kinds = [
        ("/v1/predict?whole=true", image, {"Content-Type": "image/bmp"}),
        (f"/v1/predict?x={name}", png, {"Content-Type": "image/png", "User-Agent": name}),
        ("/v1/predict", form, {"Content-Type": f"multipart/form-data; boundary=b{name}"}),
        ("/v1/predict", json.dumps({"image": base64.b64encode(image).decode()}).encode(),
         {"Content-Type": "application/json"}),
        ("/v1/predict", png[: len(png) // 2] + MARK, {"Content-Type": "image/png"}),
        ("/v1/predict", MARK + image, {"Content-Type": "image/bmp"}),
        ("/v1/predict", json.dumps({name: name}).encode(), {"Content-Type": "application/json"}),
        (f"/v1/explain?box={name}", image, {"Content-Type": "image/bmp"}),
        (f"/v1/explain?whole=true&target={name}", image, {"Content-Type": "image/bmp"}),
        (f"/v1/explain?whole=true&method={name}", image, {"Content-Type": "image/bmp"}),
        (f"/v1/{name}", image, {"Content-Type": "image/bmp"}),
        ("/v1/predict", image, {"Content-Type": f"image/{name}"}),
        (f"/v2/models/{name}/infer", json.dumps(tensor).encode(),
         {"Content-Type": "application/json"}),
        ("/v2/models/bright/infer", json.dumps(tensor).encode(),
         {"Content-Type": "application/json"}),
    ]  # fmt: skip
    for number in range(count):
        yield kinds[number % len(kinds)]


def search(data: bytes) -> list[bytes]:
    """The marks that are found, as they are, in base64 or as numbers."""
    numbers = ", ".join(map(str, PIXELS)).encode()
    forms = (MARK, PIXELS, numbers, numbers.replace(b" ", b""), PIXELS.hex().encode(),
             base64.b64encode(PIXELS * 3), repr(PIXELS)[2:-1].encode())  # fmt: skip
    return [form for form in forms if form in data]
