"""A run with every analysis, for the tests of the report."""

from pathlib import Path

import pytest

from report_runs import add_analyses, make_run


@pytest.fixture(scope="session")
def whole_run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run with every analysis."""
    folder = make_run(tmp_path_factory.mktemp("runs") / "whole")
    add_analyses(folder)
    return folder
