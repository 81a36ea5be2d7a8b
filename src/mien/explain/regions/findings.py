"""What a ledger supports saying. Only joint intervals decide, so that all sentences about one
table hold at once with its level; what they leave open is not said, or said to be open.
"""

from typing import Literal

from mien.explain.regions.table import EVERY, Cell, Ledger
from mien.types import Finding, Interval, Value

FEWEST = 10  # images of a class below which nothing is said of it
SMALL = 0.01  # a change of probability that is no evidence of looking
_PLURAL = ("brows", "eyes", "cheeks")

Sign = Literal[-1, 0, 1]
Answer = Literal["yes", "no", "open", "split"]


def describe(table: Ledger) -> list[Finding]:
    """The findings, from the general to the particular: eyes and mouth, all images, each class."""
    found = [*_eyes_and_mouth(table)]
    for label in (EVERY, *table.classes):
        cells = [table.cell(label, region) for region in table.regions]
        if max(cell.n for cell in cells) < FEWEST:
            found += [] if label == EVERY else [_few(table, label)]
            continue
        found += _shares(cells, overall=label == EVERY)
        found += [f for cell in cells for f in _hidden(cell)]
    found += _right_and_wrong(table)
    return found


def map_says(cell: Cell) -> Sign:
    """1 where the map falls on the region more than by chance, -1 where less, 0 where open."""
    if cell.joint.low > 1:
        return 1
    return -1 if cell.joint.high < 1 else 0


def hiding_says(cell: Cell) -> Sign | None:
    """1 where hiding it lowers the probability more than hiding as much anywhere, -1 where it does
    so by less than ``SMALL``, 0 where open; None where nothing was hidden.
    """
    beyond = cell.joint_beyond
    if beyond is None:
        return None
    if beyond.high < 0:
        # Surely something, but surely no more than a trifle, is no evidence of looking either.
        return 1 if beyond.low < -SMALL else -1
    return -1 if beyond.low > -SMALL else 0


def answer(cell: Cell) -> Answer:
    """Whether the model looks at this region: ``split`` where map and hiding contradict."""
    says = {map_says(cell), hiding_says(cell)} - {None}
    if {1, -1} <= says:
        return "split"
    if says == {1}:
        return "yes"
    return "no" if -1 in says else "open"


def _eyes_and_mouth(table: Ledger) -> list[Finding]:
    if not {"eyes", "mouth"} <= set(table.regions):
        return []
    cells = {name: table.cell(EVERY, name) for name in ("mouth", "eyes")}
    if min(cell.n for cell in cells.values()) < FEWEST:
        return []
    answers = {name: answer(cell) for name, cell in cells.items()}
    values: dict[str, Value] = {"n": min(cell.n for cell in cells.values())}
    for name, cell in cells.items():
        values[f"{name}_times"] = cell.joint
        if cell.joint_beyond is not None:
            values[f"{name}_difference"] = cell.joint_beyond
    values["share"] = table.together
    values["area"] = f"{100 * sum(cell.area for cell in cells.values()):.0f} %"
    roles: dict[str, str | tuple[str, ...]] = {}
    yes = [name for name, given in answers.items() if given == "yes"]
    if len(yes) == 1:
        other = "eyes" if yes[0] == "mouth" else "mouth"
        kind = f"looks-part-{answers[other]}"
        roles = {"region": yes[0], "other-region": other}
    elif len(yes) == 2:
        kind = "looks-yes"
    elif set(answers.values()) == {"no"}:
        kind = "looks-no"
    else:
        kind = "looks-split" if "split" in answers.values() else "looks-open"
    tail = "" if "mouth_difference" in values else "-by-map"
    found = [Finding(kind=kind + tail, classes=roles, values=values)]
    also = tuple(
        name
        for name in table.regions
        if name not in cells and answer(table.cell(EVERY, name)) == "yes"
    )
    if yes and also:
        found.append(Finding(kind="looks-also", classes={"regions": also}))
    return found


def _shares(cells: list[Cell], *, overall: bool) -> list[Finding]:
    """Regions that hold more than their share, the largest first; over all images also less."""
    above = [cell for cell in cells if map_says(cell) == 1 and cell.n >= FEWEST]
    below = [cell for cell in cells if map_says(cell) == -1 and cell.n >= FEWEST]
    parts = [cell for cell in above if cell.region != "rest"]
    found = [_share("more", cell) for cell in _by(above)]
    if overall:
        found += [_share("less", cell) for cell in reversed(_by(below))]
    if not parts and not [cell for cell in below if cell.region != "rest"]:
        found.append(_of("no-region", cells[0], {"n": max(cell.n for cell in cells)}))
    return found


def _hidden(cell: Cell) -> list[Finding]:
    """What hiding says: of all images whatever it supports, of a class where it contradicts."""
    beyond, hidden, away = cell.joint_beyond, cell.occlusion, cell.elsewhere
    if beyond is None or hidden is None or away is None or cell.n < FEWEST:
        return []
    values: dict[str, Value] = {
        "difference": beyond, "hidden_difference": hidden, "random_difference": away,
    }  # fmt: skip
    mapped, hiding = map_says(cell), hiding_says(cell)
    found = []
    if cell.label == EVERY and beyond.high < 0:
        found.append(_of("hiding-lowers", cell, values))
    if cell.label == EVERY and beyond.low > 0:
        found.append(_of("hiding-spares", cell, values))
    times: dict[str, Value] = {"times": cell.joint, "difference": beyond}
    if mapped == 1 and hiding == -1:
        found.append(_of("map-alone", cell, times))
    if mapped == -1 and hiding == 1:
        found.append(_of("hiding-alone", cell, times))
    return found


def _right_and_wrong(table: Ledger) -> list[Finding]:
    found = []
    for (label, region), gap in table.apart.items():
        right, wrong = table.cell(label, region, "right"), table.cell(label, region, "wrong")
        if min(right.n, wrong.n) < FEWEST or not (gap.low > 0 or gap.high < 0):
            continue
        kind = "right-more" if gap.low > 0 else "wrong-more"
        values: dict[str, Value] = {
            "right_times": right.times, "wrong_times": wrong.times,
            "gap_times": gap if gap.low > 0 else Interval(-gap.value, -gap.high, -gap.low),
            "right_n": right.n, "wrong_n": wrong.n,
        }  # fmt: skip
        found.append(_of(kind, right, values))
    return found


def _few(table: Ledger, label: str) -> Finding:
    n = max(table.cell(label, region).n for region in table.regions)
    return Finding(kind="few-maps", classes={"truth": label}, values={"n": n})


def _share(kind: str, cell: Cell) -> Finding:
    return _of(f"region-{kind}", cell, {"times": cell.joint})


def _of(kind: str, cell: Cell, values: dict[str, Value]) -> Finding:
    """A finding on a cell: the sentence differs for all images, and for regions in the plural."""
    roles: dict[str, str | tuple[str, ...]] = {}
    if kind != "no-region":
        roles["region"] = cell.region
        kind += "-plural" if cell.region in _PLURAL else ""
    if cell.label == EVERY:
        return Finding(kind=f"{kind}-overall", classes=roles, values={"n": cell.n, **values})
    return Finding(kind=kind, classes={"truth": cell.label, **roles}, values=values)


def _by(cells: list[Cell]) -> list[Cell]:
    return sorted(cells, key=lambda cell: -cell.times.value)
