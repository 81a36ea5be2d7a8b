"""The figure of a search: a panel a field, a dot a trial."""

from pathlib import Path

import pytest
from matplotlib.figure import Figure

from mien.app.figures import style
from mien.app.figures.tuning import draw_tuning
from mien.jobs.tune import Tried, Tuned


def tried(number: int, rate: float, schedule: str, state: str = "complete") -> Tried:
    settings = {"optim.learning_rate": repr(rate), "optim.schedule": schedule}
    return Tried(number=number, state=state, settings=settings, accuracy=0.3 + number / 20,
                 epochs=3, run="")  # fmt: skip


@pytest.mark.parametrize(("language", "title"), [("en", "What mattered"),
                                                 ("zh-Hant", "哪些設定有影響")])  # fmt: skip
def test_every_trial_is_a_dot_in_every_panel(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, language: str, title: str
):
    drawn: list[Figure] = []
    save = style.save
    monkeypatch.setattr(style, "save", lambda f, *rest: (drawn.append(f), save(f, *rest))[1])
    trials = (tried(0, 0.001, "linear"), tried(1, 0.01, "cosine", "pruned"),
              tried(2, 0.3, "cosine"))  # fmt: skip
    shares = {"optim.learning_rate": 0.75, "optim.schedule": 0.25}
    tuned = Tuned(folder=tmp_path, trials=trials, best=trials[2], importance=shares, images=40)
    svg, _ = draw_tuning(tuned, tmp_path / "figure", language=language)
    assert title in svg.read_text()
    rates, schedules = drawn[0].axes
    assert rates.get_xscale() == "log"
    assert [float(line.get_xdata()[0]) for line in rates.lines] == [0.001, 0.01, 0.3]
    assert [round(float(line.get_xdata()[0])) for line in schedules.lines] == [1, 0, 0]
    for axes, share in ((rates, "75 %"), (schedules, "25 %")):
        assert share in axes.get_title(loc="left")
        assert [float(line.get_ydata()[0]) for line in axes.lines] == [0.3, 0.35, 0.4]
        assert [line.get_markerfacecolor() == "none" for line in axes.lines] == [
            False, True, False]  # fmt: skip
        assert [line.get_marker() for line in axes.lines] == ["o", "o", "D"]
