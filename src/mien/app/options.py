"""Options that several verbs share."""

from collections.abc import Collection
from pathlib import Path
from typing import Annotated

import typer

from mien.errors import OptionError

Model = Annotated[str, typer.Argument(metavar="MODEL", show_default=False)]
Data = Annotated[
    str,
    typer.Argument(
        metavar="DATA",
        help="A folder, .zip, .tar.gz or .csv of labelled faces, or 'synthetic:N'.",
        show_default=False,
    ),
]
Format = Annotated[str, typer.Option("--format", help="Layout of DATA instead of recognising it.")]
Size = Annotated[int, typer.Option("--size", min=16, max=1024, help="Side in pixels.")]
Colour = Annotated[bool, typer.Option("--colour", help="Three channels instead of grey.")]
Map = Annotated[
    list[str] | None,
    typer.Option("--map", metavar="FOUND=CLASS", help="Take a class of DATA for one of the seven."),
]
Classes = Annotated[
    str, typer.Option("--classes", help="'seven', or 'found' for those that are there.")
]
SkipBad = Annotated[
    bool, typer.Option("--skip-bad", help="Leave out bad records and list them, go on.")
]
Split = Annotated[str, typer.Option("--split", help="train, validation, test or all.")]
Limit = Annotated[int, typer.Option("--limit", min=0, help="Pictures of DATA; 0: all.")]
Seed = Annotated[int, typer.Option("--seed", min=0, help="Of everything random.")]
Out = Annotated[Path | None, typer.Option("--out", "-o", help="Folder for the results.")]
Json = Annotated[bool, typer.Option("--json", help="Write the result as JSON on stdout.")]
Flip = Annotated[
    bool, typer.Option("--flip/--no-flip", help="Average each picture with its mirror image.")
]
Device = Annotated[str, typer.Option("--device", help="auto, cpu or cuda.")]
Precision = Annotated[str, typer.Option("--precision", help="auto, fp32 or bf16.")]
Detector = Annotated[
    str, typer.Option("--detector", help="haar, yunet, or none: a picture is one face.")
]
DetectorModel = Annotated[
    Path | None, typer.Option("--detector-model", help="YuNet's .onnx, from OpenCV's zoo.")
]
DetectorSize = Annotated[
    int | None,
    typer.Option(
        "--detector-size",
        metavar="PIXELS",
        help="Size of a picture as searched; more finds smaller faces.",
        show_default="640",
    ),
]
Backend = Annotated[str, typer.Option("--backend", help="auto, onnx or torch.")]
UnsureError = Annotated[
    float, typer.Option("--unsure-error", metavar="RATE", help="Wrong answers put up with.")
]
KeepOthers = Annotated[
    bool, typer.Option("--keep-others", help="Give out what is called 'not a face' as well.")
]
Views = Annotated[
    int | None,
    typer.Option(
        "--views", metavar="1|2|10", help="Looks at each face.", show_default="10; none: 1"
    ),
]
Method = Annotated[
    str, typer.Option("--method", help="Of attribution; 'mien explain --help' lists them.")
]
Language = Annotated[str, typer.Option("--lang", help="en or zh-Hant.")]
InputShape = Annotated[
    str, typer.Option("--input-shape", metavar="C,H,W", help="Needed for FILE.py:FACTORY.")
]
Threads = Annotated[int, typer.Option("--threads", min=0, help="CPU threads; 0 for all cores.")]


def refuse_given(context: typer.Context, allowed: Collection[str], why: str) -> None:
    """Refuse options that were given and would have no effect; better than to ignore them.

    Raises:
        OptionError: a parameter of the command line that is not among ``allowed``.
    """
    for parameter in context.command.params:
        name = parameter.name or ""
        source = context.get_parameter_source(name)
        if name not in allowed and source is not None and source.name == "COMMANDLINE":
            raise OptionError(f"{parameter.opts[0]}: {why}")
