"""``mien check``."""

from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from mien.app import options as opt
from mien.errors import OptionError

if TYPE_CHECKING:
    from mien.jobs.check import CheckReport
    from mien.jobs.student import StudentReport
    from mien.theory.verify import Comparison

_HELP = """Check a network's shapes and gradients against the formulas, or a learner's own formulas.

Walks MODEL (a run, a .safetensors file or FILE.py:FACTORY) in training mode over a batch: each
layer's shape against the formula, its closed-form gradient against autograd and central
differences, in float64. Exits 1 where a layer, or a learner's formula, is wrong.

\b
Examples:
  mien check runs/cnn4-1 --data fer2013.zip
  mien check nets.py:build --input-shape 3,64,64
  mien check --template > mine.py
  mien check --student mine.py
  mien check --derivations maths.html --lang zh-Hant
"""


def add_to(app: typer.Typer) -> None:
    """Register the verb."""
    app.command("check", help=_HELP)(run)


def run(
    context: typer.Context,
    model: Annotated[str | None, typer.Argument(metavar="[MODEL]", show_default=False)] = None,
    data: Annotated[
        str | None, typer.Option("--data", metavar="DATA", help="Pictures for the batch.")
    ] = None,
    input_shape: opt.InputShape = "",
    batch: Annotated[int, typer.Option("--batch", min=2, max=256, help="Pictures.")] = 8,
    seed: opt.Seed = 0,
    student: Annotated[
        Path | None, typer.Option("--student", metavar="FILE.py", help="A learner's formulas.")
    ] = None,
    limit: Annotated[
        float, typer.Option("--limit", min=1, help="Seconds for a learner's code.")
    ] = 20,
    template: Annotated[
        bool, typer.Option("--template", help="Write the file that a learner fills in.")
    ] = False,
    derivations: Annotated[
        Path | None, typer.Option("--derivations", metavar="OUT.html", help="Write the maths.")
    ] = None,
    language: opt.Language = "en",
    format: opt.Format = "",
    map: opt.Map = None,
    classes: opt.Classes = "seven",
    skip_bad: opt.SkipBad = False,
    json_out: opt.Json = False,
) -> None:
    """Do the one thing that was asked for."""
    asked = [model is not None, student is not None, template, derivations is not None]
    if sum(asked) != 1:
        raise OptionError("name MODEL, or one of --student, --template, --derivations")
    _refuse_what_has_no_effect(context, model, student, template)
    if template:
        _template()
    elif student is not None:
        _student(student, limit, json_out)
    elif derivations is not None:
        _derivations(derivations, language)
    else:
        from mien.app import console

        with console.needs_extra("check"):
            from mien.jobs.check import check
            from mien.jobs.prepare import DataOptions

        options = DataOptions(format=format, map=tuple(map or ()), classes=classes,
                              skip_bad=skip_bad)  # fmt: skip
        with console.progress_bars() as progress:
            report = check(
                str(model), data, input_shape=input_shape, batch=batch, seed=seed,
                options=options, progress=progress,
            )  # fmt: skip
        _show(report, json_out)


def _refuse_what_has_no_effect(
    context: typer.Context, model: str | None, student: Path | None, template: bool
) -> None:
    if model is not None:
        kept = {"student", "limit", "template", "derivations", "language"}
        allowed = {p.name or "" for p in context.command.params} - kept
        opt.refuse_given(context, allowed, "has no effect on the check of a network")
    elif student is not None:
        opt.refuse_given(context, {"student", "limit", "json_out"}, "has no effect with --student")
    elif template:
        opt.refuse_given(context, {"template"}, "has no effect with --template")
    else:
        kept = {"derivations", "language"}
        opt.refuse_given(context, kept, "has no effect with --derivations")


def _template() -> None:
    import sys

    from mien.app import console

    with console.needs_extra("check"):
        from mien.jobs.student import TEMPLATE
    sys.stdout.write(TEMPLATE)


def _student(file: Path, limit: float, json_out: bool) -> None:
    from mien.app import console

    with console.needs_extra("check"):
        from mien.jobs.student import check_student
    report = check_student(file, limit=limit)
    if json_out:
        console.show_json(report.to_json())
    else:
        _show_student(report)
    if report.wrong:
        raise typer.Exit(1)


def _derivations(out: Path, language: str) -> None:
    from mien.app import console
    from mien.app.derivations import page
    from mien.errors import RunError
    from mien.runs import write_atomic

    try:
        write_atomic(out, page(language))
    except OSError as error:
        raise RunError(f"{out}: cannot be written ({error.strerror})") from error
    console.show(f"written to {out}")


def _show(report: "CheckReport", json_out: bool) -> None:
    from mien.app import console
    from mien.theory.formulas import by

    for note in report.notes:
        console.say(note)
    if json_out:
        console.show_json(report.to_json())
    else:
        columns = ("layer", "kind", "output", "shape", "worst quantity", "element", "formula",
                   "reference", "relative error", "kinks")  # fmt: skip
        table = console.PlainTable(report.name, *columns, "verdict")
        for one in report.layers:
            shape = "–" if one.expected is None else "✓" if one.expected == one.output else "✗"
            worst = one.worst
            table.row(
                one.name,
                one.kind,
                by(one.output),
                shape,
                *_worst(worst),
                f"{one.kinks:,}" if one.kinks else "",
                one.verdict,
            )
        console.show(table)
        for one in report.layers:
            for comparison in one.comparisons:
                if not comparison.right:
                    console.show(f"{one.name}: {comparison}")
        told = Counter(one.verdict for one in report.layers)
        others = [f", {told[kind]} {kind}" for kind in ("shape only", "no formula") if told[kind]]
        console.show(f"\n{told['right']} right, {told['wrong']} wrong" + "".join(others))
    if report.wrong:
        raise typer.Exit(1)


def _worst(worst: "Comparison | None") -> tuple[str, ...]:
    """The quantity that lies nearest to its tolerance: its element, both values, the error."""
    if worst is None:
        return ("",) * 5
    place = ",".join(map(str, worst.index))
    return (worst.name, place, f"{worst.ours:.4g}", f"{worst.theirs:.4g}", f"{worst.error:.1e}")


def _show_student(report: "StudentReport") -> None:
    from mien.app import console

    marks = {"right": "✓", "wrong": "✗", "follows": "↳", "failed": "✗"}
    for finding in report.findings:
        where = f"{finding.function} {finding.item}".strip()
        console.show(
            f"{marks[finding.verdict]} {where}" + (f": {finding.hint}" * bool(finding.hint))
        )
        if finding.detail:
            console.show(f"    {finding.detail}")
    if report.wrong:
        console.show(f"\n{report.wrong} of {len(report.findings)} not right")
    else:
        console.show("\nall right")
