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
from mien.app.server.guard import JSON_LENGTH
from mien.app.server.refusals import Refused
from mien.app.server.schemas import FailedV2, Inferred, failures
from mien.app.server.settings import State
from mien.app.server.threads import awaited
from mien.app.server.v1 import answer
from mien.jobs.serving import Service
from mien.types import Scores

MOST_CROPS = 256
# Longer JSON is read in a thread, so that the door stays quick.
_SHORT = 64 * 1024
_NO_MODEL = failures(FailedV2, s404="No model of that name.")


@dataclass(frozen=True, kw_only=True, eq=False)
class Asked:
    """One request. outputs: names wanted, in order, and whether as binary."""

    id: str | None
    images: NDArray[np.uint8]
    outputs: tuple[tuple[str, bool], ...]


class Infer:
    """Face crops to probabilities; the door asks it directly."""

    def __init__(self, service: Service) -> None:
        classifier = service.predictor.classifier
        self.service, self.classes = service, len(classifier.classes)
        self.version = str(classifier.card.get("checksum", ""))[:12] or "1"
        self.shape = (classifier.channels, classifier.size, classifier.size)
        novelty = classifier.novelty_threshold is not None
        self.outputs = ("probabilities", "novelty") if novelty else ("probabilities",)

    async def __call__(self, name: str, number: str, head: str | None, body: bytes) -> Response:
        """The answer to one request; ``head`` is the length of the JSON before binary tensors.

        Raises:
            Refused: no such model, or its tensors cannot be used.
        """
        self.known(name, number)
        if len(body) <= _SHORT or head is not None:
            asked = read(body, head, self.shape, self.outputs)
        else:
            made = self.service.pool.submit(read, body, head, self.shape, self.outputs)
            asked = await awaited(made)
        scores = await awaited(self.service.ask(asked.images))
        return written(asked, scores, self.service.name, self.version)

    def known(self, name: str, number: str = "") -> None:
        """Raises: Refused."""
        if name != self.service.name:
            raise Refused(404, "model", f"no such model; this server has '{self.service.name}'")
        if number and number != self.version:
            raise Refused(404, "model", f"no such version; this server has '{self.version}'")


def router(infer: Infer, state: State) -> APIRouter:
    """The routes under /v2."""
    made = APIRouter(prefix="/v2")
    _add_health(made, state)
    _add_model(made, infer, state)
    _add_infer(made, infer)
    return made


def _add_health(made: APIRouter, state: State) -> None:
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


def _add_model(made: APIRouter, infer: Infer, state: State) -> None:
    @made.get("/models/{name}", summary="The model's inputs and outputs", responses=_NO_MODEL)
    async def model(name: str) -> Response:
        """As the protocol wants it."""
        infer.known(name)
        outputs = [{"name": "probabilities", "datatype": "FP32", "shape": [-1, infer.classes]}]
        if "novelty" in infer.outputs:
            outputs.append({"name": "novelty", "datatype": "FP32", "shape": [-1]})
        images = {"name": "images", "datatype": "UINT8", "shape": [-1, *infer.shape]}
        platform = f"mien_{infer.service.predictor.classifier.backend}"
        return answer({"name": name, "versions": [infer.version], "platform": platform,
                       "inputs": [images], "outputs": outputs})  # fmt: skip

    @made.get("/models/{name}/ready", summary="Does the model take work?",
              responses=failures(FailedV2, s404="No model of that name.",
                                 s503="It is shutting down."))  # fmt: skip
    async def model_ready(name: str) -> Response:
        """503 from SIGTERM on."""
        infer.known(name)
        return answer({"name": name, "ready": not state.closing}, 503 if state.closing else 200)


def _add_infer(made: APIRouter, infer: Infer) -> None:
    """For the description; behind the door of ``guard`` these two are asked without a detour."""
    channels, side, _ = infer.shape
    tensor = {"name": "images", "datatype": "UINT8", "shape": [1, *infer.shape]}
    example = {"id": "1", "inputs": [{**tensor, "data": [128] * math.prod(infer.shape)}]}
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
    async def infer_latest(request: Request, name: str) -> Response:
        """Crops as ``images`` in; what lies outside of a face belongs to /v1/predict."""
        return await infer(name, "", request.headers.get(JSON_LENGTH), await request.body())

    @made.post("/models/{name}/versions/{number}/infer", **described)
    async def infer_version(request: Request, name: str, number: str) -> Response:
        """The same for a version that the caller insists on."""
        return await infer(name, number, request.headers.get(JSON_LENGTH), await request.body())


def read(body: bytes, head: str | None, shape: tuple[int, ...], names: tuple[str, ...]) -> Asked:
    """A request's tensors.

    Raises:
        Refused: they are not what the model takes; the message says what is.
    """
    tail = b""
    if head is not None:
        if not head.isdecimal() or int(head) > len(body):
            raise _bad(f"{JSON_LENGTH}: give the length of the JSON part in bytes")
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
