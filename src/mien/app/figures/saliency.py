"""Attribution maps as figures: a gallery over the classes, and pictures one by one.

Every map of a figure is scaled by the same limit (``mien.explain.display``), with a colour bar.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.colors import LinearSegmentedColormap, to_hex
from matplotlib.figure import Figure
from numpy.typing import NDArray

from mien.app.figures import style
from mien.explain.display import STOPS, as_picture, overlay, scaled, shared_limit
from mien.jobs.explain_pictures import Explained
from mien.jobs.saliency import FEWEST_FACES, Saliency
from mien.words.trust import verdict_line

PANEL, GAP, BLOCK_GAP, ROW_GAP = 0.86, 0.05, 0.32, 0.3  # inches
_LEFT, _TOP, _BOTTOM, _RIGHT = 1.55, 1.28, 0.78, 0.3
_MOST = 12  # pictures in one figure

DIVERGING = LinearSegmentedColormap.from_list(
    "against-for", [((row[0] + 1) / 2, to_hex(tuple(row[1:] / 255))) for row in STOPS]
)

Panel = NDArray[Any] | None
Block = tuple[tuple[Panel, ...], str]
_NONE: Block = ((None, None, None), "none")


@dataclass(frozen=True, kw_only=True)
class _Row:
    """name, under: the label at the left. blocks: panels side by side, with a caption each."""

    name: str
    under: str
    blocks: tuple[Block, ...]


def draw_gallery(saliency: Saliency, path_stem: Path, *, examples: bool) -> tuple[Path, Path]:
    """Write ``<stem>.svg`` and ``<stem>.png``: a row for each class, right answers and wrong ones.

    examples: the most confident picture of each kind; without it the mean maps over the mean
    faces, which show no single person.
    """
    report = saliency.report
    rows, limit = (_example_rows if examples else _mean_rows)(saliency)
    heads = (("face", "map", "both"),) * 2 if examples else (("mean face", "map", "both"),) * 2
    what = "most confident answers" if examples else "mean maps over mean faces"
    method = report["title"] + (f" at {report['layer']}" if report["layer"] else "")
    return _draw(
        path_stem,
        rows,
        limit,
        (("Answered rightly", heads[0]), ("Answered wrongly", heads[1])),
        title=f"What speaks for each class: {method}",
        subtitle=f"{_model(report)}; {what}, {report['n']:,} images of {report['split']}; "
        + _aimed(report),
        trust=verdict_line(report.get("trust")),
    )


def draw_pictures(explained: Explained, path_stem: Path) -> tuple[Path, Path]:
    """Write ``<stem>.svg`` and ``<stem>.png``: the first pictures with map and overlay."""
    report, rows = explained.report, []
    for n, one in enumerate(report["pictures"][:_MOST]):
        name = Path(one["file"]).stem
        answer = report["classes"][one["predicted"]]
        sure = one["probabilities"][one["predicted"]]
        panels = _panels(as_picture(explained.images[n]), explained.maps[n], explained.limit)
        rows.append(
            _Row(name=_short(name, 17), under="", blocks=((panels, f"{answer} {_sure(sure)}"),))
        )
    method = report["title"] + (f" at {report['layer']}" if report["layer"] else "")
    return _draw(
        path_stem, rows, explained.limit, (("", ("face", "map", "both")),),
        title=method[:1].upper() + method[1:], subtitle=_pictured(report),
        trust=verdict_line(report.get("trust")),
    )  # fmt: skip


def color_bar(figure: Figure, axes: Axes, limit: float, *, unit: str = "") -> None:
    """A bar of the diverging colours for values −limit … limit, with what the ends mean."""
    ramp = np.linspace(-1, 1, 256)[None]
    axes.imshow(ramp, aspect="auto", cmap=DIVERGING, extent=(-1, 1, 0, 1), vmin=-1, vmax=1)
    axes.set_yticks([])
    axes.set_xticks([-1, 0, 1], [f"≤ −{limit:.2g}", "0", f"≥ {limit:.2g}{unit}"])
    for spine in axes.spines.values():
        spine.set_visible(False)
    axes.text(-1, 1.25, "against the class", ha="left", va="bottom", size=style.SMALL)
    axes.text(1, 1.25, "for the class", ha="right", va="bottom", size=style.SMALL)


def _example_rows(saliency: Saliency) -> tuple[list[_Row], float]:
    report, maps = saliency.report, saliency.arrays["maps"].astype(np.float32)
    maps = maps * saliency.arrays["scale"]
    limit, rows = shared_limit([maps]), []
    for k, name in enumerate(report["classes"]):
        blocks: list[Block] = []
        for right in (True, False):
            found = [
                n for n, one in enumerate(report["examples"])
                if one["label"] == k and one["right"] == right
            ]  # fmt: skip
            if not found:
                blocks.append(_NONE)
                continue
            one = report["examples"][found[0]]
            sure = _sure(one["probabilities"][one["predicted"]])
            taken = report["classes"][one["predicted"]]
            caption = sure if right else f"taken for {taken}, {sure}"
            picture = as_picture(saliency.pictures[found[0]])
            blocks.append((_panels(picture, maps[found[0]], limit), caption))
        rows.append(_Row(name=name, under=_counted(report, k), blocks=tuple(blocks)))
    return rows, limit


def _mean_rows(saliency: Saliency) -> tuple[list[_Row], float]:
    report, arrays = saliency.report, saliency.arrays
    kinds = ("right", "wrong")
    # A mean of a few maps is loud by chance; it is shown, but does not set the scale.
    steady = [
        arrays[f"class_maps_{kind}"][np.array(report["counts"][kind]) >= FEWEST_FACES]
        for kind in kinds
    ]
    everything = [arrays[f"class_maps_{kind}"] for kind in kinds]
    limit = shared_limit(steady if any(map(len, steady)) else everything)
    rows = []
    for k, name in enumerate(report["classes"]):
        blocks: list[Block] = []
        face = arrays["mean_faces"][k]
        for kind in kinds:
            n, values = report["counts"][kind][k], arrays[f"class_maps_{kind}"][k]
            if not n:
                blocks.append(_NONE)
            elif np.isfinite(face).all():
                blocks.append((_panels(face, values, limit), f"mean of {n:,}"))
            else:
                few = f"mean of {n:,}; too few faces to show"
                blocks.append(((None, scaled(values, limit), None), few))
        rows.append(_Row(name=name, under="", blocks=tuple(blocks)))
    return rows, limit


def _panels(picture: NDArray[Any], values: NDArray[Any], limit: float) -> tuple[Panel, ...]:
    shown = scaled(values, limit)
    return picture, shown, overlay(shown, picture)


def _draw(
    path_stem: Path,
    rows: Sequence[_Row],
    limit: float,
    heads: tuple[tuple[str, tuple[str, ...]], ...],
    *,
    title: str,
    subtitle: str,
    trust: str,
) -> tuple[Path, Path]:
    block = 3 * PANEL + 2 * GAP
    width = max(_LEFT + len(heads) * block + (len(heads) - 1) * BLOCK_GAP + _RIGHT, 6.4)
    top = _TOP if heads[0][0] else _TOP - 0.2
    height = top + len(rows) * (PANEL + ROW_GAP) + _BOTTOM
    with style.style():
        figure = style.new_figure(width, height)
        style.headline(figure, title, subtitle)
        for b, (head, names) in enumerate(heads):
            left = _LEFT + b * (block + BLOCK_GAP)
            _say(figure, left, height - top + 0.34, head, size=style.BODY, weight="bold")
            for c, name in enumerate(names):
                middle = left + c * (PANEL + GAP) + PANEL / 2
                _say(figure, middle, height - top + 0.1, name, ha="center", color=style.SOFT)
        for r, row in enumerate(rows):
            bottom = height - top - (r + 1) * (PANEL + ROW_GAP) + ROW_GAP
            _say(figure, _LEFT - 0.12, bottom + PANEL / 2 + 0.04, row.name, ha="right",
                 size=style.BODY, color=style.INK)  # fmt: skip
            _say(figure, _LEFT - 0.12, bottom + PANEL / 2 - 0.14, row.under, ha="right",
                 color=style.SOFT)  # fmt: skip
            for b, (panels, caption) in enumerate(row.blocks):
                left = _LEFT + b * (block + BLOCK_GAP)
                _say(figure, left, bottom - 0.13, caption, color=style.INK)
                for c, panel in enumerate(panels):
                    _panel(figure, left + c * (PANEL + GAP), bottom, panel)
        bar = figure.add_axes((_LEFT / width, 0.34 / height, 2.6 / width, 0.12 / height))
        color_bar(figure, bar, limit)
        _say(figure, _LEFT + 2.9, 0.36, "one scale for all maps", color=style.SOFT)
        _say(figure, _LEFT + 2.9, 0.18, trust, color=style.SOFT)
        return style.save(figure, path_stem)


def _panel(figure: Figure, left: float, bottom: float, panel: Panel) -> None:
    width, height = figure.get_size_inches()
    axes = figure.add_axes((left / width, bottom / height, PANEL / width, PANEL / height))
    axes.set_xticks([])
    axes.set_yticks([])
    for spine in axes.spines.values():
        spine.set_visible(True)
    if panel is None:
        axes.set_facecolor("#F6F8FA")
    elif panel.dtype == np.float32 and panel.min() >= -1 and panel.max() <= 1:
        axes.imshow(panel, cmap=DIVERGING, vmin=-1, vmax=1, interpolation="nearest")
    else:
        shown = np.asarray(np.rint(panel), dtype=np.uint8)
        axes.imshow(shown, cmap="gray", vmin=0, vmax=255, interpolation="nearest")


def _say(
    figure: Figure,
    x: float,
    y: float,
    text: str,
    *,
    ha: str = "left",
    size: float = style.SMALL,
    color: str = style.INK,
    weight: str = "normal",
) -> None:
    width, height = figure.get_size_inches()
    figure.text(x / width, y / height, text, ha=ha, size=size, color=color, weight=weight)


def _aimed(report: dict[str, Any]) -> str:
    target = report["target"] or "the answer given"
    return f"maps of {target}" + (f" against {report['against']}" if report["against"] else "")


def _pictured(report: dict[str, Any]) -> str:
    first = report["pictures"][0]["target"] if report["pictures"] else 0
    same = all(one["target"] == first for one in report["pictures"])
    chosen = any(one["target"] != one["predicted"] for one in report["pictures"])
    of = report["classes"][first] if same and chosen else "the answer given"
    against = f" against {report['against']}" if report["against"] else ""
    left = len(report["pictures"]) - _MOST
    more = f"; {left:,} more pictures not shown" if left > 0 else ""
    return f"{_model(report)}; maps of {of}{against}{more}"


def _counted(report: dict[str, Any], k: int) -> str:
    right, wrong = (report["counts"][kind][k] for kind in ("right", "wrong"))
    return f"{right:,} right, {wrong:,} wrong"


def _model(report: dict[str, Any]) -> str:
    """The model's name; of a long path the end, which tells runs apart."""
    name = str(report["model"])
    return name if len(name) <= 44 else f"{name[:10]}…{name[-33:]}"


def _sure(share: float) -> str:
    return ">99 %" if share >= 0.995 else f"{100 * share:.0f} %"


def _short(text: str, most: int) -> str:
    return text if len(text) <= most else text[: most - 1] + "…"
