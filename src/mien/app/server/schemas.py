"""The shapes of requests and answers, for the OpenAPI description and its examples."""

from typing import Any

from pydantic import BaseModel, ConfigDict, Field


class BoxOut(BaseModel):
    """A square in the upright picture, in pixels from its left top corner."""

    left: float
    top: float
    width: float
    height: float
    angle: float = Field(description="Degrees clockwise by which the face is turned.")


class FaceOut(BaseModel):
    """One face, and the expression that it shows; not what the person feels."""

    box: BoxOut | None = Field(description="Null where the whole picture was one face crop.")
    answer: str = Field(description="What to show: a class, 'unsure' or 'not a face'.")
    label: str = Field(description="The most probable class.")
    confidence: float = Field(description="Its calibrated probability.")
    probabilities: dict[str, float]
    unsure: bool
    not_a_face: bool
    novelty: float | None
    score: float | None = Field(description="The detector's own; no probability.")
    id: int | None


class PictureOut(BaseModel):
    """The upright picture's size in pixels."""

    width: int
    height: int


class Predicted(BaseModel):
    """The faces of a picture, the largest first; none where no face was found."""

    model_config = ConfigDict(json_schema_extra={"examples": []})

    model: str
    classes: list[str]
    picture: PictureOut
    faces: list[FaceOut]


class Problem(BaseModel):
    """What was wrong, and what to do."""

    code: str
    message: str


class Failed(BaseModel):
    """An error under /v1."""

    error: Problem


class FailedV2(BaseModel):
    """An error under /v2."""

    error: str


class TensorOut(BaseModel):
    """A tensor of the Open Inference Protocol."""

    name: str
    datatype: str
    shape: list[int]
    data: list[Any] | None = None
    parameters: dict[str, Any] | None = None


class Inferred(BaseModel):
    """What the model says of N face crops: ``probabilities`` N×K and, where it can, ``novelty``."""

    model_name: str
    model_version: str
    id: str | None = None
    outputs: list[TensorOut]


PREDICTED_EXAMPLE: dict[str, Any] = {
    "model": "default",
    "classes": ["angry", "disgust", "fear", "happy", "sad", "surprise", "neutral"],
    "picture": {"width": 640, "height": 480},
    "faces": [
        {
            "box": {"left": 210.5, "top": 96.0, "width": 181.2, "height": 181.2, "angle": 0.0},
            "answer": "happy",
            "label": "happy",
            "confidence": 0.9312,
            "probabilities": {
                "angry": 0.0081, "disgust": 0.0009, "fear": 0.0077, "happy": 0.9312,
                "sad": 0.0098, "surprise": 0.0121, "neutral": 0.0302,
            },
            "unsure": False,
            "not_a_face": False,
            "novelty": 12.4,
            "score": 21.0,
            "id": None,
        }
    ],
}  # fmt: skip

# One pixel, black, so that the example can be sent as it stands.
PIXEL = (
    "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAAAAAA6fptVAAAACklEQVR4nGNgAAAAAgABSK+kcQAAAABJRU5ErkJggg=="
)


def picture_body(types: tuple[str, ...]) -> dict[str, Any]:
    """The OpenAPI description of a body with one picture."""
    binary = {"schema": {"type": "string", "format": "binary"}}
    return {
        "required": True,
        "content": {
            **dict.fromkeys(types, binary),
            "multipart/form-data": {
                "schema": {
                    "type": "object",
                    "required": ["image"],
                    "properties": {"image": {"type": "string", "format": "binary"}},
                }
            },
            "application/json": {
                "schema": {
                    "type": "object",
                    "required": ["image"],
                    "additionalProperties": False,
                    "properties": {
                        "image": {
                            "type": "string", "format": "byte",
                            "description": "The picture file in base64.",
                        }
                    },
                },
                "example": {"image": PIXEL},
            },
        },
    }  # fmt: skip


def failures(schema: type[BaseModel], **said: str) -> dict[int | str, dict[str, Any]]:
    """Responses for OpenAPI: ``s413="…"`` describes status 413."""
    return {
        int(key[1:]): {"model": schema, "description": text} for key, text in sorted(said.items())
    }
