"""What a person sees of several models evaluated together."""

from mien.app import console
from mien.app.evaluation import as_json, main_scores, show_evaluation, write_figures
from mien.jobs.ensemble import Together
from mien.words import p_value, percent, points


def show_together(found: Together, *, json: bool) -> None:
    """The members' table with the average's gain over each, then the average in full."""
    folder = found.together.folder / "figures"
    write_figures(found.together, folder)
    for note in dict.fromkeys(note for member in found.members for note in member.notes):
        console.say(note)
    if json:
        console.show_json({**as_json(found.together), "members": found.to_json()})
        return
    console.show(_table(found))
    console.show("\nThe average of their probabilities:\n")
    show_evaluation(found.together)
    console.show(f"\nPredictions in {found.together.folder}, figures in {folder}")


def _table(found: Together) -> console.PlainTable:
    n = main_scores(found.together.evaluation).n
    table = console.PlainTable(
        f"Each model and their average, {n:,} images without a copy in training",
        "model", "accuracy", "average gains", "McNemar",
    )  # fmt: skip
    for name, comparison in zip(found.names, found.comparisons, strict=True):
        paired = comparison.without_copies or comparison.whole
        table.row(name, percent(paired.accuracy_b), points(paired.difference), p_value(paired.p))
    table.row("average", percent(main_scores(found.together.evaluation).accuracy), "", "")
    return table
