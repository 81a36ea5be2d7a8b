"""Follows tensors through a network's forward pass: where each came from and how far it looks.

A ``TorchFunctionMode`` sees every torch function between the layers, so residual additions,
concatenations and functional convolutions count as well. What it does not know leads to a receptive
field that "cannot be told", never to a guess.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from typing import Any

from torch import Tensor
from torch.overrides import TorchFunctionMode

from mien.theory.formulas import Predicted
from mien.theory.shapes import PIXEL, Field, union

INPUT = -1

# Element by element, as torch names them once underscores are gone.
_POINTWISE_NAMES = (
    "add sub rsub mul div truediv true_divide floor_divide iadd isub imul itruediv radd rmul "
    "rtruediv pow neg abs sqrt rsqrt square exp log log1p expm1 sin cos tanh sigmoid relu relu6 "
    "leaky_relu prelu rrelu elu selu celu gelu silu mish hardtanh hardswish hardsigmoid softplus "
    "softsign threshold logsigmoid clamp clamp_min clamp_max clip minimum maximum where lerp "
    "addcmul addcdiv to float double half bfloat16 type type_as clone contiguous detach dropout "
    "dropout1d dropout2d dropout3d feature_dropout alpha_dropout feature_alpha_dropout batch_norm "
    "cpu cuda requires_grad sign round floor ceil erf reciprocal nan_to_num identity"
)
_POINTWISE = frozenset(_POINTWISE_NAMES.split())
_RESHAPE = {"flatten", "reshape", "view", "ravel", "unflatten", "squeeze", "unsqueeze", "view_as"}
_JOIN = {"cat", "concat", "concatenate"}
_SELECT = {"getitem", "chunk", "split", "narrow", "select", "unbind", "index_select", "roll"}
_ALL = {"mean", "sum", "amax", "amin", "adaptive_avg_pool1d", "adaptive_avg_pool2d",
        "adaptive_avg_pool3d", "linear", "matmul", "norm"}  # fmt: skip


@dataclass(frozen=True)
class Flow:
    """What is known of a tensor.

    fields: the receptive field along each image axis; None where it cannot be told. whole: it can
    depend on every pixel. grid: its last axes still are the image's. sources: numbers of the layers
    that it comes from directly, ``INPUT`` for the network's input.
    """

    fields: tuple[Field, ...] | None
    whole: bool = False
    grid: bool = True
    sources: tuple[int, ...] = (INPUT,)

    @classmethod
    def of_input(cls, shape: tuple[int, ...]) -> "Flow":
        """The network's input, N×C×image."""
        return cls((PIXEL,) * max(0, len(shape) - 2), grid=len(shape) > 2)

    def through(self, predicted: Predicted, rank: int) -> "Flow":
        """Behind a layer of which the formulas say ``predicted``; rank: axes of its input."""
        if predicted.reach == "point" or self.whole:
            return self
        if predicted.reach == "reshape":
            return replace(self, grid=False)
        if predicted.reach == "all":
            # Over a flattened or pooled image that is everything; over the last of several axes
            # that no longer are the image's, nobody knows.
            everything = self.fields is not None and (self.grid or rank == 2)
            return replace(self, whole=everything, fields=self.fields if everything else None)
        if self.fields is None or not self.grid or predicted.reach == "unknown":
            return replace(self, fields=None)
        if predicted.reach == "window":
            pairs = zip(self.fields, predicted.windows, strict=True)
            return replace(self, fields=tuple(field.through(w) for field, w in pairs))
        bins = zip(self.fields, predicted.bins, strict=True)
        return replace(self, fields=tuple(field.through_bins(b) for field, b in bins))

    def unknown(self) -> "Flow":
        """The same origin, but no receptive field."""
        return replace(self, fields=None, whole=False, grid=False)


def merged(flows: list[Flow]) -> Flow:
    """Of a tensor made element by element from several: the largest field over the paths."""
    sources = tuple(sorted({s for flow in flows for s in flow.sources}))
    if any(flow.whole for flow in flows):
        return Flow(flows[0].fields, True, all(f.grid for f in flows), sources)
    known = [flow.fields for flow in flows]
    if any(fields is None for fields in known) or len({flow.grid for flow in flows}) > 1:
        return Flow(None, False, False, sources)
    axes = [union(axis) for axis in zip(*(f for f in known if f is not None), strict=True)]
    fields = tuple(axis for axis in axes if axis is not None)
    together = fields if len(fields) == len(axes) else None
    return Flow(together, False, flows[0].grid, sources)


class Tracer(TorchFunctionMode):
    """Knows the ``Flow`` of each tensor; ``functional`` is asked about every function it meets.

    functional(name, args, kwargs, output): what the formulas say of a layer called as a function,
    and the number of the row that it became, or None where it is no layer.
    """

    def __init__(
        self, functional: Callable[[str, Any, Any, Any], tuple[Predicted, int] | None]
    ) -> None:
        super().__init__()
        self._functional = functional
        # Tensors are held, so that no id is given twice during a pass.
        self._flows: dict[int, tuple[Tensor, Flow]] = {}
        self.inside = 0

    def flow(self, tensor: Tensor) -> Flow | None:
        """What is known of ``tensor``; None for weights and constants."""
        found = self._flows.get(id(tensor))
        return found[1] if found else None

    def mark(self, value: Any, flow: Flow) -> None:
        """Take ``flow`` for every tensor in ``value``."""
        for tensor in tensors_in(value):
            self._flows[id(tensor)] = (tensor, flow)

    def incoming(self, value: Any) -> list[tuple[Tensor, Flow]]:
        """The tensors in ``value`` that come from the input, with their flows."""
        pairs = ((tensor, self.flow(tensor)) for tensor in tensors_in(value))
        return [(tensor, flow) for tensor, flow in pairs if flow is not None]

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        """Run ``func`` and note where its result comes from."""
        kwargs = kwargs or {}
        before = [] if self.inside else self.incoming((args, list(kwargs.values())))
        ranks = [tuple(tensor.shape) for tensor, _ in before]
        out = func(*args, **kwargs)
        if before:
            self._follow(getattr(func, "__name__", ""), (args, kwargs), before, ranks, out)
        return out

    def _follow(
        self,
        name: str,
        given: tuple[Any, Any],
        before: list[tuple[Tensor, Flow]],
        shapes: list[tuple[int, ...]],
        out: Any,
    ) -> None:
        bare = name.strip("_")
        tensors = list(tensors_in(out))
        if not tensors:
            return
        flow = before[0][1] if len(before) == 1 else merged([flow for _, flow in before])
        layer = self._functional(bare, *given, out)
        if layer is not None:
            flow = replace(flow.through(layer[0], len(shapes[0])), sources=(layer[1],))
        else:
            flow = _behind(bare, flow, shapes, tuple(tensors[0].shape))
        self.mark(out, flow)


def _behind(name: str, flow: Flow, before: list[tuple[int, ...]], after: tuple[int, ...]) -> Flow:
    images = {shape[2:] for shape in before if len(shape) > 2}
    if name in _POINTWISE:
        # Broadcasting one value over an image brings all that it depends on to every pixel.
        spread = len(images) > 1 and flow.grid
        return replace(flow, whole=True) if spread and flow.fields is not None else flow
    if name in _RESHAPE:
        return replace(flow, grid=flow.grid and after[2:] in images)
    if name in _JOIN or name in _SELECT - {"roll"}:
        kept = images == {after[2:]} or (not flow.grid and not images)
        return flow if kept or flow.whole else flow.unknown()
    if name in _ALL:
        reduced = len(after) <= 2 or all(n == 1 for n in after[2:])
        known = flow.fields is not None and reduced
        return replace(flow, whole=known or flow.whole, fields=flow.fields if known else None)
    return flow if flow.whole else flow.unknown()


def tensors_in(value: Any) -> Iterator[Tensor]:
    """Every tensor in nested tuples, lists and dicts."""
    if isinstance(value, Tensor):
        yield value
    elif isinstance(value, dict):
        for item in value.values():
            yield from tensors_in(item)
    elif isinstance(value, list | tuple):
        for item in value:
            yield from tensors_in(item)
