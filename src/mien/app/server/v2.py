"""The Open Inference Protocol (v2) on face crops, with JSON tensors or the binary extension.

One input, ``images``: uint8 N×C×size×size. Outputs: ``probabilities`` float32 N×K and, where the
model has one, ``novelty`` float32 N. https://github.com/kserve/open-inference-protocol
"""

import json
import math
from dataclasses import dataclass
from typing import Any

import numpy as np
from fastapi import APIRouter, Request, Response
from numpy.typing import NDArray

from mien import __version__
from mien.app.server import bodies
from mien.app.server.refusals import Refused
from mien.app.server.schemas import FailedV2, Inferred, failures
from mien.app.server.settings import State
from mien.app.server.v1 import answer, awaited
from mien.jobs.serving import Service
from mien.types import Scores

MOST_CROPS = 256
_HEAD = "inference-header-content-length"
# Longer JSON is read in a thread, so that the door stays quick.
_SHORT = 64 * 1024
_NO_MODEL = failures(FailedV2, s404="No model of that name.")


@dataclass(frozen=True, kw_only=True, eq=False)
class Asked:
    """One request. outputs: names wanted, in order, and whether as binary."""

    id: str | None
    images: NDArray[np.uint8]
    outputs: tuple[tuple[str, bool], ...]


def router(service: Service, state: State) -> APIRouter:
    """The routes under /v2."""
    made = APIRouter(prefix="/v2")
    classifier = service.predictor.classifier
    version = str(classifier.card.get("checksum", ""))[:12] or "1"
    side, channels, classes = classifier.size, classifier.channels, len(classifier.classes)
    names = ("probabilities",) + (("novelty",) if classifier.novelty_threshold is not None else ())

    def known(name: str, asked: str = "") -> None:
        if name != service.name:
            raise Refused(404, "model", f"no such model; this server has '{service.name}'")
        if asked and asked != version:
            raise Refused(404, "model", f"no such version; this server has '{version}'")

    @made.get("", summary="The server")
    async def server() -> Response:
        """Its name, version and extensions."""
        return answer(
            {"name": "mien", "version": __version__, "extensions": ["binary_tensor_data"]}
        )

    @made.get("/health/live", summary="Is it alive?")
    async def live() -> Response:
        """200 as long as the process answers."""
        return answer({"live": True})

    @made.get("/health/ready", summary="Does it take work?",
              responses=failures(FailedV2, s503="It is shutting down."))  # fmt: skip
    async def ready() -> Response:
        """503 from SIGTERM on."""
        return answer({"ready": not state.closing}, 503 if state.closing else 200)

    @made.get("/models/{name}", summary="The model's inputs and outputs", responses=_NO_MODEL)
    async def model(name: str) -> Response:
        """As the protocol wants it."""
        known(name)
        outputs = [{"name": "probabilities", "datatype": "FP32", "shape": [-1, classes]}]
        if "novelty" in names:
            outputs.append({"name": "novelty", "datatype": "FP32", "shape": [-1]})
        images = {"name": "images", "datatype": "UINT8", "shape": [-1, channels, side, side]}
        platform = f"mien_{classifier.backend}"
        return answer({"name": name, "versions": [version], "platform": platform,
                       "inputs": [images], "outputs": outputs})  # fmt: skip

    @made.get("/models/{name}/ready", summary="Does the model take work?",
              responses=failures(FailedV2, s404="No model of that name.",
                                 s503="It is shutting down."))  # fmt: skip
    async def model_ready(name: str) -> Response:
        """503 from SIGTERM on."""
        known(name)
        return answer({"name": name, "ready": not state.closing}, 503 if state.closing else 200)

    pixels = [128] * (channels * side * side)
    tensor = {"name": "images", "datatype": "UINT8", "shape": [1, channels, side, side]}
    example = {"id": "1", "inputs": [{**tensor, "data": pixels}]}
    described: dict[str, Any] = {
        "response_model": Inferred, "summary": "Probabilities of face crops",
        "responses": failures(
            FailedV2, s400="The tensors cannot be used.", s401="The token is missing.",
            s404="No model of that name.", s408="The body came too slowly.",
            s413="The body is over the limit.", s415="Neither JSON nor binary.",
            s503="The queue is full; Retry-After says when to come back.",
        ),
        "openapi_extra": {"requestBody": {"required": True, "content": {
            "application/json": {"schema": _request_schema(side, channels), "example": example}}}},
    }  # fmt: skip

    @made.post("/models/{name}/infer", **described)
    async def infer(request: Request, name: str) -> Response:
        """Crops as ``images`` in; what lies outside of a face belongs to /v1/predict."""
        return await answered(request, name, "")

    @made.post("/models/{name}/versions/{number}/infer", **described)
    async def infer_version(request: Request, name: str, number: str) -> Response:
        """The same for a version that the caller insists on."""
        return await answered(request, name, number)

    async def answered(request: Request, name: str, number: str) -> Response:
        known(name, number)
        body = await bodies.read(request, state.settings)
        head = request.headers.get(_HEAD)
        shape = (channels, side, side)
        if len(body) <= _SHORT or head is not None:
            asked = read(body, head, shape, names)
        else:
            asked = await awaited(service.pool.submit(read, body, head, shape, names))
        scores = await awaited(service.gather.submit(asked.images))
        return written(asked, scores, service.name, version)

    return made


def read(body: bytes, head: str | None, shape: tuple[int, ...], names: tuple[str, ...]) -> Asked:
    """A request's tensors.

    Raises:
        Refused: they are not what the model takes; the message says what is.
    """
    tail = b""
    if head is not None:
        if not head.isdecimal() or int(head) > len(body):
            raise _bad(f"{_HEAD}: give the length of the JSON part in bytes")
        body, tail = body[: int(head)], body[int(head) :]
    data = bodies.json_object(body)
    inputs = data.get("inputs")
    if not isinstance(inputs, list) or len(inputs) != 1 or not isinstance(inputs[0], dict):
        raise _bad("inputs: send exactly one tensor, called 'images'")
    identity = data.get("id")
    if identity is not None and not isinstance(identity, str):
        raise _bad("id: a string, or leave it out")
    return Asked(id=identity, images=_tensor(inputs[0], tail, shape), outputs=_wanted(data, names))


def _tensor(tensor: dict[str, Any], tail: bytes, shape: tuple[int, ...]) -> NDArray[np.uint8]:
    wanted = "×".join(map(str, shape))
    if tensor.get("name") != "images" or tensor.get("datatype") != "UINT8":
        raise _bad("inputs[0]: its name is 'images' and its datatype 'UINT8'")
    given = tensor.get("shape")
    if (
        not isinstance(given, list)
        or not all(type(n) is int for n in given)
        or tuple(given[1:]) != shape
        or not 1 <= given[0] <= MOST_CROPS
    ):
        raise _bad(f"inputs[0].shape: N×{wanted} with N from 1 to {MOST_CROPS}")
    parameters = tensor.get("parameters")
    size = parameters.get("binary_data_size") if isinstance(parameters, dict) else None
    if size is not None:
        if type(size) is not int or size != len(tail) or size != math.prod(given):
            raise _bad(f"binary_data_size: {math.prod(given)} bytes behind the JSON, and say so")
        return np.frombuffer(tail, np.uint8).reshape(given)
    try:
        values = np.asarray(tensor["data"])
    except (KeyError, ValueError, OverflowError) as error:
        raise _bad("inputs[0].data: numbers, flat or nested as the shape says") from error
    if values.size != math.prod(given) or values.dtype.kind not in "iu":
        raise _bad(f"inputs[0].data: {math.prod(given)} whole numbers from 0 to 255")
    if values.min() < 0 or values.max() > 255:
        raise _bad("inputs[0].data: values from 0 to 255")
    return values.astype(np.uint8).reshape(given)


def _wanted(data: dict[str, Any], names: tuple[str, ...]) -> tuple[tuple[str, bool], ...]:
    parameters = data.get("parameters")
    binary = isinstance(parameters, dict) and parameters.get("binary_data_output") is True
    outputs = data.get("outputs")
    if outputs is None:
        return tuple((name, binary) for name in names)
    if not isinstance(outputs, list) or not outputs:
        raise _bad('outputs: a list of {"name": …}, or leave it out for all')
    found = []
    for one in outputs:
        if not isinstance(one, dict) or one.get("name") not in names:
            raise _bad(f"outputs: their names are {', '.join(names)}")
        own = one.get("parameters")
        found.append((one["name"], own.get("binary_data", binary) is True
                      if isinstance(own, dict) else binary))  # fmt: skip
    return tuple(found)


def written(asked: Asked, scores: Scores, name: str, version: str) -> Response:
    """The answer, its tensors in JSON or, where asked for, behind it as little-endian float32."""
    arrays = {"probabilities": scores.probabilities, "novelty": scores.novelty}
    outputs, tail = [], []
    for output, binary in asked.outputs:
        values = np.asarray(arrays[output], dtype="<f4")
        tensor: dict[str, Any] = {"name": output, "datatype": "FP32", "shape": list(values.shape)}
        if binary:
            tail.append(values.tobytes())
            tensor["parameters"] = {"binary_data_size": len(tail[-1])}
        else:
            tensor["data"] = values.ravel().tolist()
        outputs.append(tensor)
    head = {"model_name": name, "model_version": version, "id": asked.id, "outputs": outputs}
    if not tail:
        return answer(head)
    text = json.dumps(head).encode()
    return Response(text + b"".join(tail), media_type="application/octet-stream",
                    headers={"Inference-Header-Content-Length": str(len(text))})  # fmt: skip


def _bad(message: str) -> Refused:
    return Refused(400, "tensor", message)


def _request_schema(side: int, channels: int) -> dict[str, Any]:
    return {
        "type": "object",
        "required": ["inputs"],
        "properties": {
            "id": {"type": "string"},
            "inputs": {
                "type": "array", "minItems": 1, "maxItems": 1,
                "items": {
                    "type": "object",
                    "required": ["name", "datatype", "shape", "data"],
                    "properties": {
                        "name": {"const": "images"},
                        "datatype": {"const": "UINT8"},
                        "shape": {
                            "type": "array", "items": {"type": "integer"},
                            "description": f"N, {channels}, {side}, {side}",
                        },
                        "data": {
                            "type": "array",
                            "items": {"type": "integer", "minimum": 0, "maximum": 255},
                        },
                    },
                },
            },
        },
    }  # fmt: skip
