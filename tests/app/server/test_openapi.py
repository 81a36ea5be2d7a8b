"""What the description promises holds for requests that are made from it (schemathesis)."""

from typing import Any

import pytest
from hypothesis import HealthCheck, Phase, settings

schemathesis = pytest.importorskip("schemathesis")

from mien.app.server.application import application  # noqa: E402
from mien.app.server.settings import Settings, State  # noqa: E402
from mien.jobs.serving import Service  # noqa: E402
from serving_fakes import predictor  # noqa: E402


@schemathesis.serializer("image/bmp", "image/tiff", "image/x-portable-anymap",
                         "image/x-portable-bitmap", "image/x-portable-graymap",
                         "image/x-portable-pixmap")  # fmt: skip
def as_bytes(context: Any, value: Any) -> bytes:
    """Types that schemathesis does not know."""
    given = getattr(value, "data", value)
    return given if isinstance(given, bytes) else str(given).encode()


_APP = application(Service(predictor(), workers=1), State(Settings()))
schema = schemathesis.openapi.from_asgi("/openapi.json", _APP, headers={"Host": "127.0.0.1"})


@schema.parametrize()
@settings(
    max_examples=15, deadline=None, derandomize=True, database=None,
    phases=(Phase.explicit, Phase.generate), suppress_health_check=list(HealthCheck),
)  # fmt: skip
def test_no_5xx_and_every_answer_as_described(case) -> None:  # type: ignore[no-untyped-def]
    case.headers = {**(case.headers or {}), "Host": "127.0.0.1"}
    case.validate_response(
        case.call(),
        checks=[
            schemathesis.checks.not_a_server_error,
            schemathesis.specs.openapi.checks.status_code_conformance,
            schemathesis.specs.openapi.checks.content_type_conformance,
            schemathesis.specs.openapi.checks.response_schema_conformance,
        ],
    )
