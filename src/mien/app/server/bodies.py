"""Bodies to the bytes of one picture: raw, multipart or JSON with base64. All of it in memory.

Starlette's own form parser would write large parts to a temporary file; this one never does.
"""

import base64
import binascii
import json
import logging
from typing import Any

from python_multipart.exceptions import FormParserError
from python_multipart.multipart import MultipartParser, parse_options_header

from mien.app.server.refusals import Refused

# It warns of bytes in a form, with their values.
logging.getLogger("python_multipart").setLevel(logging.CRITICAL)

_FIELDS = (b"image", b"file")


def picture_of(body: bytes, content_type: str) -> bytes:
    """The encoded picture in a body.

    Raises:
        Refused: there is none, or not exactly one.
    """
    kind = content_type.partition(";")[0].strip().lower()
    if kind == "application/json":
        picture = _from_json(body)
    elif kind == "multipart/form-data":
        picture = _from_form(body, content_type)
    else:
        picture = body
    if not picture:
        raise Refused(400, "empty", "the body holds no picture; send a picture file's bytes")
    return picture


def json_object(body: bytes) -> dict[str, Any]:
    """A JSON object.

    Raises:
        Refused: it is none.
    """
    try:
        data = json.loads(body)
    except (ValueError, RecursionError) as error:
        raise Refused(400, "json", "the body is no JSON; check it with 'python -m json.tool'"
                      ) from error  # fmt: skip
    if not isinstance(data, dict):
        raise Refused(400, "json", "the body is JSON but no object; send one in { }")
    return data


def _from_json(body: bytes) -> bytes:
    data = json_object(body)
    image = data.get("image")
    if not isinstance(image, str):
        raise Refused(400, "json", 'the field "image" is missing: send {"image": "<base64>"}')
    if set(data) != {"image"}:
        raise Refused(400, "json", 'only the field "image" is known; options go into the address')
    try:
        return base64.b64decode(image, validate=True)
    except (binascii.Error, ValueError) as error:
        raise Refused(400, "base64", 'the field "image" is no base64 (standard alphabet, padded, '
                      "no line breaks, no data: prefix)") from error  # fmt: skip


class _Form:
    """The one file of a form; what the client called it is never kept."""

    def __init__(self) -> None:
        self.files: list[bytearray] = []
        self._name, self._value, self._wanted = b"", b"", False

    def begin(self) -> None:
        self._wanted = False
        self._name = self._value = b""

    def header_name(self, data: bytes, start: int, end: int) -> None:
        self._name += data[start:end]

    def header_value(self, data: bytes, start: int, end: int) -> None:
        self._value += data[start:end]

    def header_end(self) -> None:
        if self._name.lower() == b"content-disposition":
            _, options = parse_options_header(self._value)
            self._wanted = options.get(b"name") in _FIELDS
        self._name = self._value = b""

    def headers_end(self) -> None:
        if self._wanted:
            self.files.append(bytearray())

    def data(self, data: bytes, start: int, end: int) -> None:
        if self._wanted:
            self.files[-1] += data[start:end]


def _from_form(body: bytes, content_type: str) -> bytes:
    _, options = parse_options_header(content_type)
    boundary = options.get(b"boundary")
    if not boundary:
        raise Refused(400, "multipart", "the Content-Type names no boundary; let your client "
                      "write that header, as curl -F does")  # fmt: skip
    form = _Form()
    try:
        parser = MultipartParser(boundary, {
            "on_part_begin": form.begin, "on_header_field": form.header_name,
            "on_header_value": form.header_value, "on_header_end": form.header_end,
            "on_headers_finished": form.headers_end, "on_part_data": form.data,
        })  # fmt: skip
        parser.write(body)
        parser.finalize()
    except (FormParserError, ValueError) as error:
        raise Refused(400, "multipart", "the form cannot be read; send it as curl -F "
                      "image=@face.jpg does") from error  # fmt: skip
    if len(form.files) != 1:
        raise Refused(400, "multipart", "send exactly one picture, in a field called 'image'")
    return bytes(form.files[0])
