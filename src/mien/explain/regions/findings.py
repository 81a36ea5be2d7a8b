"""What a ledger supports saying. Only joint intervals decide, so that all sentences about one
table hold at once with its level; what they leave open is not said, or said to be open.
"""

from typing import Literal

from mien.explain.regions.table import EVERY, Cell, Ledger
from mien.types import Finding, Interval, Value

FEWEST = 10  # images of a class below which nothing is said of it
TOLD = 2  # regions of a class that hold most
SMALL = 0.01  # a change of probability that is no evidence of looking
PLURAL = ("brows", "eyes", "cheeks")

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
        found += _hidden(cells)
    found += _right_and_wrong(table)
    return found


def map_says(cell: Cell) -> Sign:
    """1 where the map falls on the region more than by chance, -1 where less, 0 where open."""
    if cell.joint.low > 1:
        return 1
    return -1 if cell.joint.high < 1 else 0


def hiding_says(cell: Cell) -> Sign | None:
    """1 where hiding it lowers the probability, and more than hiding as much anywhere; -1 where it
    does so by less than ``SMALL``, 0 where open; None where nothing was hidden.
    """
    beyond, hidden = cell.joint_beyond, cell.occlusion
    if beyond is None or hidden is None:
        return None
    # Surely something, but surely no more than a trifle, is no evidence of looking either.
    if beyond.low > -SMALL:
        return -1
    return 1 if beyond.high < 0 and hidden.high < 0 else 0


def answer(cell: Cell) -> Answer:
    """Whether the model looks at this region: ``split`` where map and hiding contradict."""
    says = {map_says(cell), hiding_says(cell)} - {None}
    if {1, -1} <= says:
        return "split"
    if says == {1}:
        return "yes"
    return "no" if -1 in says else "open"


def _eyes_and_mouth(table: Ledger) -> list[Finding]:
    """Whether "the model looks at mouth and eyes" holds, and what ranks before or beside them."""
    if not {"eyes", "mouth"} <= set(table.regions):
        return []
    cells = {name: table.cell(EVERY, name) for name in ("mouth", "eyes")}
    if min(cell.n for cell in cells.values()) < FEWEST:
        return []
    answers = {name: answer(cell) for name, cell in cells.items()}
    also = tuple(
        name
        for name in table.regions
        if name not in (*cells, "rest") and answer(table.cell(EVERY, name)) == "yes"
    )
    ranks = _ranks(table)
    kind, roles = _verdict(answers, also, first={rank.kind for rank in ranks} == _FIRST)
    values: dict[str, Value] = {"n": min(cell.n for cell in cells.values())}
    for name, cell in cells.items():
        values[f"{name}_times"] = cell.joint
        if cell.joint_beyond is not None:
            values[f"{name}_difference"] = cell.joint_beyond
    values["share"] = table.together
    values["area"] = f"{100 * sum(cell.area for cell in cells.values()):.0f} %"
    tail = "" if "mouth_difference" in values else "-by-map"
    found = Finding(kind=kind + tail, classes=roles, values=values)
    return [found, *(ranks if set(answers.values()) == {"yes"} else [])]


_FIRST = {"map-first", "hiding-first"}


def _verdict(
    answers: dict[str, Answer], also: tuple[str, ...], *, first: bool
) -> tuple[str, dict[str, str | tuple[str, ...]]]:
    """The kind of the sentence and its roles. first: both measures rank the two before all."""
    yes = [name for name, given in answers.items() if given == "yes"]
    if len(yes) == 2:
        if also and not first:
            return "looks-among", {"regions": also}
        return "looks-yes", {}
    if len(yes) == 1:
        other = "eyes" if yes[0] == "mouth" else "mouth"
        return f"looks-part-{answers[other]}", {"region": yes[0], "other-region": other}
    if set(answers.values()) == {"no"}:
        return "looks-no", {}
    return ("looks-split" if "split" in answers.values() else "looks-open"), {}


def _ranks(table: Ledger) -> list[Finding]:
    """Whether mouth and eyes both come before brows, nose and cheeks, by the map and by hiding."""
    found = []
    for what, name in (("times", "map"), ("beyond", "hiding")):
        gaps = {key[1:]: gap for key, gap in table.ahead.items() if key[0] == what}
        others = tuple(dict.fromkeys(other for _, other in gaps))
        if gaps and all(gap.low > 0 for gap in gaps.values()):
            found.append(Finding(kind=f"{name}-first", classes={"regions": others}))
        behind = {key: gap for key, gap in gaps.items() if gap.high < 0}
        if behind:
            (mine, other), _ = min(behind.items(), key=lambda item: item[1].value)
            cells = table.cell(EVERY, other), table.cell(EVERY, mine)
            values: dict[str, Value] = {}
            for role, cell in zip(("first", "second"), cells, strict=True):
                values[f"{role}_times"] = cell.joint
                if what == "beyond" and cell.joint_beyond is not None:
                    values[f"{role}_difference"] = cell.joint_beyond
            roles: dict[str, str | tuple[str, ...]] = {"region": other, "other-region": mine}
            found.append(Finding(kind=f"{name}-not-first", classes=roles, values=values))
    return found


def _shares(cells: list[Cell], *, overall: bool) -> list[Finding]:
    """Regions that hold more than their share, the largest first; over all images also less."""
    above = [cell for cell in cells if map_says(cell) == 1 and cell.n >= FEWEST]
    below = [cell for cell in cells if map_says(cell) == -1 and cell.n >= FEWEST]
    found = [_share("more", cell) for cell in _by(above)[: None if overall else TOLD]]
    if overall:
        found += [_share("less", cell) for cell in reversed(_by(below))]
    if all(cell.region == "rest" for cell in (*above, *below)):
        found.append(_of("no-region", cells[0], {"n": max(cell.n for cell in cells)}))
    return found


def _hidden(cells: list[Cell]) -> list[Finding]:
    """What hiding says: of all images whatever it supports; of a class the region that counts most,
    and where it contradicts the map.
    """
    known = [cell for cell in cells if cell.joint_beyond is not None and cell.n >= FEWEST]
    known.sort(key=lambda cell: cell.joint_beyond.value if cell.joint_beyond else 0.0)
    lowers = [cell for cell in known if hiding_says(cell) == 1]
    spares = [cell for cell in known if cell.joint_beyond and cell.joint_beyond.low > 0]
    overall = cells[0].label == EVERY
    found = [_hiding("hiding-lowers", cell) for cell in (lowers if overall else lowers[:1])]
    found += [_hiding("hiding-spares", cell) for cell in spares if overall]
    for cell in known:
        mapped, hiding = map_says(cell), hiding_says(cell)
        if {mapped, hiding} == {1, -1} and cell.joint_beyond is not None:
            against = "map-against" if cell.joint_beyond.low > 0 else "map-alone"
            kind = against if mapped == 1 else "hiding-alone"
            values: dict[str, Value] = {"times": cell.joint, "difference": cell.joint_beyond}
            found.append(_of(kind, cell, values))
    return found


def _hiding(kind: str, cell: Cell) -> Finding:
    measured = {
        "difference": cell.joint_beyond,
        "hidden_difference": cell.occlusion,
        "random_difference": cell.elsewhere,
    }
    return _of(kind, cell, {key: value for key, value in measured.items() if value is not None})


def _right_and_wrong(table: Ledger) -> list[Finding]:
    found = []
    for (label, region), gap in table.apart.items():
        right, wrong = table.cell(label, region, "right"), table.cell(label, region, "wrong")
        # What the parts of the face hold less of, the rest holds more of: said once is enough.
        told = region != "rest" and min(right.n, wrong.n) >= FEWEST
        if not told or not (gap.low > 0 or gap.high < 0):
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
        kind += "-plural" if cell.region in PLURAL else ""
    if cell.label == EVERY:
        return Finding(kind=f"{kind}-overall", classes=roles, values={"n": cell.n, **values})
    return Finding(kind=kind, classes={"truth": cell.label, **roles}, values=values)


def _by(cells: list[Cell]) -> list[Cell]:
    return sorted(cells, key=lambda cell: -cell.times.value)
