"""For all tests: a cache of their own, and where the data that are not ours lie."""

import os
from pathlib import Path

import pytest

_SHARED = Path(__file__).parents[2] / "shared"


@pytest.fixture(autouse=True)
def _own_cache(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("MIEN_CACHE", str(tmp_path / "mien-cache"))


@pytest.fixture(scope="session")
def fer2013() -> Path:
    """FER2013's Training and PublicTest images; ``MIEN_FER2013`` names another place."""
    path = Path(os.environ.get("MIEN_FER2013", _SHARED / "data/fer2013-train-public.zip"))
    if not path.is_file():
        pytest.skip(f"{path} is not here")
    return path


@pytest.fixture(scope="session")
def malformed() -> Path:
    """Pillow's odd, broken and hostile pictures."""
    path = _SHARED / "media/malformed-images.zip"
    if not path.is_file():
        pytest.skip(f"{path} is not here")
    return path


@pytest.fixture(scope="session")
def session_cache(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A cache that outlives one test, for data that take seconds to read."""
    return tmp_path_factory.mktemp("session-cache")


def pytest_sessionfinish(session: pytest.Session) -> None:
    """Where ``MIEN_NO_SKIP`` is set, as in CI, a skipped test fails the run."""
    reporter = session.config.pluginmanager.get_plugin("terminalreporter")
    if os.environ.get("MIEN_NO_SKIP") and reporter and reporter.stats.get("skipped"):
        reporter.write_line("a test was skipped, and MIEN_NO_SKIP forbids it", red=True)
        session.exitstatus = pytest.ExitCode.TESTS_FAILED
