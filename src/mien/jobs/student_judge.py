"""The cases that a learner's functions are run on, and the verdicts on what they give."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from mien.theory import batchnorm as bn
from mien.theory import slips
from mien.theory.shapes import Window, convolution_size
from mien.theory.softmax import cross_entropy, targets
from mien.theory.verify import compare

F64 = NDArray[np.float64]
Result = dict[str, Any]

_SIZES: tuple[tuple[int, int, int, tuple[int, int], tuple[int, int], tuple[int, int]], ...] = (
    (48, 48, 32, (3, 3), (1, 1), (1, 1)),
    (48, 48, 64, (3, 3), (2, 2), (0, 0)),
    (47, 31, 8, (5, 3), (2, 3), (2, 0)),
    (28, 40, 16, (4, 5), (3, 2), (1, 2)),
    (11, 9, 5, (2, 3), (4, 5), (0, 1)),
)
_ITEMS = {
    "dx_hat": "∂l/∂x̂", "dvar": "∂l/∂σ²", "dmean": "∂l/∂μ", "dx": "∂l/∂x", "dgamma": "∂l/∂γ",
    "dbeta": "∂l/∂β",
}  # fmt: skip
_TOLERANCE = 1e-6


@dataclass(frozen=True, kw_only=True)
class Finding:
    """One verdict. hint: what is the matter, or a remark. detail: the worst element's numbers."""

    function: str
    item: str
    verdict: Literal["right", "wrong", "follows", "failed"]
    hint: str = ""
    detail: str = ""

    @property
    def right(self) -> bool:
        """Whether nothing has to be changed for this item."""
        return self.verdict == "right"


def _conv_cases() -> list[Result]:
    names = ("width", "height", "out_channels", "kernel", "stride", "padding")
    return [{"arrays": False, "given": dict(zip(names, case, strict=True))} for case in _SIZES]


def _batchnorm_inputs() -> list[tuple[F64, F64, F64, float, F64]]:
    made = []
    # A large ε shows where it is forgotten; a second case, that nothing fits by chance.
    for seed, (N, F), eps in ((1, (6, 4), 0.1), (2, (5, 3), 1e-3)):
        rng = np.random.default_rng(seed)
        made.append((rng.normal(1, 2, (N, F)), rng.uniform(0.5, 2, F), rng.normal(size=F), eps,
                     rng.normal(size=(N, F))))  # fmt: skip
    return made


def _batchnorm_cases() -> list[Result]:
    names = ("x", "gamma", "beta", "eps", "dout")
    return [
        {"arrays": True, "given": {n: np.asarray(v).tolist()
                                   for n, v in zip(names, case, strict=True)}}
        for case in _batchnorm_inputs()
    ]  # fmt: skip


def _softmax_inputs() -> list[tuple[F64, F64]]:
    rng = np.random.default_rng(3)
    hot = targets([1, 0, 4, 2], 5)
    soft = rng.dirichlet(np.ones(3), size=4)
    large = rng.normal(size=(4, 5)) * 1000
    large[:, 3] = 2000  # in every row, so that a single sample overflows as well
    batches = [(rng.normal(size=(4, 5)), hot), (rng.normal(size=(4, 3)), soft), (large, hot)]
    # The same once more for a function that takes a single sample.
    return [*batches, *((z[0], y[0]) for z, y in batches)]


def _softmax_cases() -> list[Result]:
    return [{"arrays": True, "given": {"z": z.tolist(), "y": y.tolist()}}
            for z, y in _softmax_inputs()]  # fmt: skip


CASES: dict[str, Callable[[], list[Result]]] = {
    "conv_output_shape": _conv_cases,
    "batchnorm_backward": _batchnorm_cases,
    "softmax_cross_entropy_backward": _softmax_cases,
}


def _array(result: Result) -> F64 | str:
    """A result's array, or what it is instead."""
    if "error" in result:
        return f"your code: {result['error']}"
    if "value" in result:
        result = result["value"]
    if "array" in result:
        return np.asarray(result["array"], dtype=np.float64)
    if "none" in result:
        return "it returns nothing"
    return f"it returns {result.get('other') or 'a dict'}, not an array of numbers"


def judge_shapes(results: list[Result]) -> list[Finding]:
    """Verdict on ``conv_output_shape``."""
    name, wrong = "conv_output_shape", []
    for case, result in zip(_SIZES, results, strict=True):
        found = _array(result)
        if isinstance(found, str):
            return [Finding(function=name, item="", verdict="failed", hint=found)]
        width, height, channels, kernel, stride, padding = case
        sizes = [
            convolution_size(w, Window(kernel=k, stride=s, before=p, after=p))
            for w, k, s, p in zip((width, height), kernel, stride, padding, strict=True)
        ]
        right = np.array([*sizes, channels], dtype=np.float64)
        if found.shape != (3,) or not (found == right).all():
            wrong.append((case, found, right))
    if not wrong:
        return [Finding(function=name, item="shape", verdict="right")]
    candidates = [
        {hint: np.array(value) for hint, value in slips.shape_slips(*case)} for case, _, _ in wrong
    ]
    hints = [
        hint for hint in candidates[0]
        if all(slips.matches(found, c[hint]) for c, (_, found, _) in
               zip(candidates, wrong, strict=True))
    ]  # fmt: skip
    case, found, right = wrong[0]
    detail = f"for {case} it gives {_tuple(found)}, not {_tuple(right)}"
    if not hints and sorted(found.tolist()) == sorted(right.tolist()):
        hints = ["the order is (width, height, out_channels)"]
    return [Finding(function=name, item="shape", verdict="wrong", detail=detail,
                    hint=hints[0] if hints else "no usual slip; compare the numbers")]  # fmt: skip


def judge_batchnorm(results: list[Result]) -> list[Finding]:
    """A verdict on each entry of ``batchnorm_backward``'s dict."""
    name = "batchnorm_backward"
    for result in results:
        if "error" in result or "dict" not in result["value"]:
            told = _array(result)
            hint = told if isinstance(told, str) else "it returns an array, not a dict"
            return [Finding(function=name, item="", verdict="failed", hint=hint)]
    cases = []
    for (x, gamma, beta, eps, dout), result in zip(_batchnorm_inputs(), results, strict=True):
        forward = bn.batchnorm_forward(x, gamma, beta, eps=eps)
        right = bn.batchnorm_backward(forward, dout)
        given = {k: _array(v) for k, v in result["value"]["dict"].items()}
        cases.append((forward, right, dout, _fitted(given, right)))
    return [_judge_item(key, cases) for key in _ITEMS]


def _fitted(given: dict[str, F64 | str], right: bn.BatchNormBackward) -> dict[str, F64 | str]:
    """Arrays of F or 1×F in the reference's shape; others stay."""
    fitted: dict[str, F64 | str] = {}
    for key, value in given.items():
        wanted = getattr(right, key, None)
        if wanted is not None and not isinstance(value, str) and value.size == wanted.size:
            # Only axes of length 1 may come and go: a transposed array is a wrong one.
            same = [n for n in value.shape if n != 1] == [n for n in wanted.shape if n != 1]
            value = value.reshape(wanted.shape) if same else value  # noqa: PLW2901
        fitted[key] = value
    return fitted


def _judge_item(key: str, cases: list[Any]) -> Finding:
    name, item = "batchnorm_backward", f"{key} = {_ITEMS[key]}"
    wrong = []
    for forward, right, dout, given in cases:
        value = given.get(key, "it is missing in the dict")
        if isinstance(value, str):
            return Finding(function=name, item=item, verdict="failed", hint=value)
        scale = float(np.abs(right.through_x_hat).max()) if key == "dx" else 0.0
        found = compare(key, value, getattr(right, key), tolerance=_TOLERANCE, scale=scale)
        if not found.right:
            wrong.append((forward, right, dout, given, value, found))
    if not wrong:
        return Finding(function=name, item=item, verdict="right")
    detail = str(wrong[0][-1])
    if all(_follows(key, w) for w in wrong):
        hint = "right for your own intermediates; it mends itself with them"
        return Finding(function=name, item=item, verdict="follows", hint=hint, detail=detail)
    tables = [_candidates(key, w) for w in wrong]
    for position, (hint, _) in enumerate(tables[0]):
        if all(slips.matches(w[4], t[position][1]) for w, t in zip(wrong, tables, strict=True)):
            return Finding(function=name, item=item, verdict="wrong", hint=hint, detail=detail)
    return Finding(function=name, item=item, verdict="wrong", detail=detail,
                   hint="no usual slip; compare the numbers")  # fmt: skip


def _own(case: Any) -> tuple[F64, F64, F64] | None:
    """The learner's own intermediates, where all are there and of the right shape."""
    _, right, _, given = case[:4]
    found = [given.get(key) for key in ("dx_hat", "dvar", "dmean")]
    shapes = [right.dx_hat.shape, right.dvar.shape, right.dmean.shape]
    if all(isinstance(v, np.ndarray) and v.shape == s for v, s in zip(found, shapes, strict=True)):
        return found[0], found[1], found[2]
    return None


def _own_dx_hat(case: Any) -> F64:
    """The learner's ∂l/∂x̂, or the right one where theirs cannot be used."""
    found = case[3].get("dx_hat")
    right: F64 = case[1].dx_hat
    return found if isinstance(found, np.ndarray) and found.shape == right.shape else right


def _follows(key: str, case: Any) -> bool:
    """Whether a wrong value is what the right formula makes of the learner's earlier ones."""
    if key in ("dvar", "dmean"):
        return slips.matches(case[4], slips.sums_from(case[0], _own_dx_hat(case))[key])
    own = _own(case) if key == "dx" else None
    return own is not None and slips.matches(case[4], slips.dx_from(case[0], *own))


def _candidates(key: str, case: Any) -> list[slips.Hint]:
    forward, right, dout, _, _, _ = case
    if key in ("dvar", "dmean"):
        table = slips.dvar_slips if key == "dvar" else slips.dmean_slips
        return [*table(forward, _own_dx_hat(case)), *table(forward, right.dx_hat)]
    if key == "dx":
        reference = (right.dx_hat, right.dvar, right.dmean)
        own = _own(case) or reference
        return [*slips.dx_slips(forward, *own), *slips.dx_slips(forward, *reference)]
    return list(slips.other_slips(forward, right, dout)[key])


def judge_softmax(results: list[Result]) -> list[Finding]:
    """Verdict on ``softmax_cross_entropy_backward``: for batches, else for single samples."""
    inputs = _softmax_inputs()
    half = len(inputs) // 2
    batch = _judge_dz(inputs[:half], results[:half])
    if batch.right:
        return [batch]
    single = _judge_dz(inputs[half:], results[half:])
    if single.right:
        return [Finding(function=single.function, item=single.item, verdict="right",
                        hint="for a single sample; a batch N×K would need axis=-1")]  # fmt: skip
    # The more telling of the two: a recognised slip before a failure.
    return [single if batch.verdict == "failed" or "no usual" in batch.hint else batch]


def _judge_dz(inputs: list[tuple[F64, F64]], results: list[Result]) -> Finding:
    name, item = "softmax_cross_entropy_backward", "dz = ∂L/∂z"
    values: list[F64] = []
    for result in results:
        value = _array(result)
        if isinstance(value, str):
            return Finding(function=name, item=item, verdict="failed", hint=value)
        values.append(value)
    right = [cross_entropy(z, y).dz for z, y in inputs]
    compared = [
        compare("dz", v, r, tolerance=_TOLERANCE) for v, r in zip(values, right, strict=True)
    ]
    if all(c.right for c in compared):
        return Finding(function=name, item=item, verdict="right")
    if all(c.right for c in compared[:-1]):
        hint = "not stable for large logits: subtract the largest from z first"
        return Finding(function=name, item=item, verdict="wrong", hint=hint,
                       detail=str(compared[-1]))  # fmt: skip
    detail = next(str(c) for c in compared if not c.right)
    for table, verdict in ((slips.softmax_accepted, "right"), (slips.softmax_slips, "wrong")):
        # The case of large logits only asks for stability, which a slip may lack as well.
        tables = [table(z, y) for z, y in inputs[:-1]]
        for position, (hint, _) in enumerate(tables[0]):
            if all(slips.matches(v, t[position][1]) for v, t in
                   zip(values[:-1], tables, strict=True)):  # fmt: skip
                accepted: Literal["right", "wrong"] = "right" if verdict == "right" else "wrong"
                return Finding(function=name, item=item, verdict=accepted, hint=hint,
                               detail="" if accepted == "right" else detail)  # fmt: skip
    return Finding(function=name, item=item, verdict="wrong", detail=detail,
                   hint="no usual slip; compare the numbers")  # fmt: skip


def _tuple(values: F64) -> str:
    return f"({', '.join(f'{v:g}' for v in values.ravel()[:6])})"


JUDGES: dict[str, Callable[[list[Result]], list[Finding]]] = {
    "conv_output_shape": judge_shapes,
    "batchnorm_backward": judge_batchnorm,
    "softmax_cross_entropy_backward": judge_softmax,
}
