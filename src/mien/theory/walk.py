"""Walks any ``nn.Module`` with a real forward pass and notes every layer that it meets.

A layer is a module of a kind that the formulas know, any other module without children, or a
convolution or pooling called as a function. Each is checked against its formula before it
runs, so an impossible one is refused by name and with its arithmetic. The receptive field behind
branches is the largest over all paths. The network is left as it was found.
"""

import contextlib
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import Any

import torch
from torch import Tensor, nn

from mien.errors import NetworkError
from mien.theory.formulas import UNKNOWN, Predicted, by, is_known, predict
from mien.theory.functional import functional_layer
from mien.theory.shapes import Field
from mien.theory.trace import Flow, Tracer, merged, tensors_in
from mien.theory.untouched import as_found

Shape = tuple[int, ...]


@dataclass(frozen=True, kw_only=True)
class Layer:
    """One layer as it was met, in the order of the calls.

    name: where it lies in the network. kind: its class, or the function. input, output: shapes,
    batch included. predicted: what the formulas say. parameters: its own, 0 where ``shared`` (its
    weights were counted at an earlier call). macs: per call. activation: bytes of its output.
    fields, whole, sources: see ``trace.Flow``. groups: of a convolution. module: for
    a function, a layer like it; None where the walk was read from a file.
    """

    name: str
    kind: str
    input: Shape
    output: Shape
    predicted: Predicted
    parameters: int
    shared: bool
    macs: int
    activation: int
    fields: tuple[Field, ...] | None
    whole: bool
    sources: tuple[int, ...]
    groups: int = 1
    module: nn.Module | None = None

    @property
    def as_predicted(self) -> bool | None:
        """Whether the observed shape is the formula's; None where there is no formula."""
        return None if self.predicted.shape is None else self.predicted.shape == self.output


@dataclass(frozen=True, kw_only=True)
class Walk:
    """A network's layers. input, output: shapes. parameters: all of the network's.

    buffers: values that are saved but not trained. ends: the layers that the output comes from.
    """

    input: Shape
    output: Shape
    layers: tuple[Layer, ...]
    parameters: int
    buffers: int
    ends: tuple[int, ...]

    @property
    def macs(self) -> int:
        """Multiply-accumulates of one pass."""
        return sum(layer.macs for layer in self.layers)

    @property
    def activation(self) -> int:
        """Bytes of all layers' outputs."""
        return sum(layer.activation for layer in self.layers)


# Seen at each layer's call: number of the row, module, input and output, both detached.
Visit = Callable[[int, nn.Module, Tensor, Tensor], None]


def walk(
    network: nn.Module, batch: Tensor, *, training: bool = False, visit: Visit | None = None
) -> Walk:
    """One forward pass of ``network`` over ``batch`` (N×C×image, or what it takes).

    training: in training mode, with batch statistics and dropout; buffers are put back.

    Raises:
        NetworkError: a layer cannot take what it gets, or the network fails on this input.
    """
    walker = _Walker(network, visit)
    with as_found(network), torch.no_grad():
        network.train(training)
        output = walker.run(batch)
    return Walk(
        input=tuple(batch.shape),
        output=tuple(output.shape),
        layers=tuple(walker.rows),
        parameters=sum(p.numel() for p in network.parameters()),
        buffers=sum(b.numel() for b in network.buffers()),
        ends=walker.ends,
    )


@dataclass
class _Call:
    """A module that is running. opaque: its functions are not followed, its formula is enough."""

    name: str
    first_row: int
    opaque: bool = False
    x: Tensor | None = None
    flow: Flow | None = None
    predicted: Predicted = UNKNOWN


@dataclass
class _Walker:
    network: nn.Module
    visit: Visit | None
    rows: list[Layer] = field(default_factory=list)
    ends: tuple[int, ...] = ()

    def __post_init__(self) -> None:
        self._calls: list[_Call] = []
        self._counted: set[int] = set()
        self._tracer = Tracer(self._met_function)
        self._names = {m: n or type(m).__name__ for n, m in self.network.named_modules()}

    def run(self, batch: Tensor) -> Tensor:
        self._tracer.mark(batch, Flow.of_input(tuple(batch.shape)))
        with contextlib.ExitStack() as hooks:
            for module in self.network.modules():
                before = module.register_forward_pre_hook(self._before, with_kwargs=True)
                after = module.register_forward_hook(self._after, with_kwargs=True)
                hooks.callback(before.remove)
                hooks.callback(after.remove)
            try:
                with self._tracer:
                    out = self.network(batch)
            except NetworkError:
                raise
            except Exception as error:
                said = (str(error).strip() or type(error).__name__).splitlines()[0]
                raise NetworkError(
                    f"layer '{self._where()}' fails, with the network's input "
                    f"{by(tuple(batch.shape))}: {said}"
                ) from error
        outputs = list(tensors_in(out))
        if not outputs:
            raise NetworkError(f"{type(self.network).__name__} gives no tensor")
        flow = self._tracer.flow(outputs[0])
        self.ends = flow.sources if flow else ()
        return outputs[0]

    def _where(self) -> str:
        return self._calls[-1].name if self._calls else type(self.network).__name__

    def _before(self, module: nn.Module, args: Any, kwargs: Any) -> None:
        call = _Call(self._names[module], len(self.rows))
        self._calls.append(call)
        given = [] if self._tracer.inside else self._tracer.incoming((args, kwargs))
        if given:
            call.x, call.flow = given[0]
            if len(given) > 1:
                call.flow = merged([flow for _, flow in given])
            if self.visit and is_known(module):
                call.x = call.x.detach().clone()  # before an in-place layer writes over it
            call.predicted = self._predict(module, tuple(call.x.shape))
        call.opaque = is_known(module)
        self._tracer.inside += call.opaque

    def _after(self, module: nn.Module, args: Any, kwargs: Any, out: Any) -> None:
        call = self._calls.pop()
        self._tracer.inside -= call.opaque
        y = next(tensors_in(out), None)
        if self._tracer.inside or call.flow is None or call.x is None or y is None:
            return
        if call.opaque:
            flow = call.flow.through(call.predicted, call.x.ndim)
        else:
            # Of a foreign module the functions were followed; where some have rows of their own,
            # or its children have, it is no layer itself.
            childless = not any(True for _ in module.children())
            weighted = any(True for _ in module.parameters(recurse=False))
            if len(self.rows) > call.first_row or not (childless or weighted):
                return
            flow = self._tracer.flow(y) or call.flow.unknown()
        flow = replace(flow, sources=call.flow.sources)
        self._add(call.name, type(module).__name__, call.x, y, call.predicted, flow, module)
        self._tracer.mark(out, replace(flow, sources=(len(self.rows) - 1,)))
        if self.visit:
            self.visit(len(self.rows) - 1, module, call.x, y.detach().clone())

    def _predict(self, module: nn.Module, shape: Shape) -> Predicted:
        try:
            return predict(module, shape)
        except NetworkError as error:
            kind = type(module).__name__
            raise NetworkError(
                f"layer '{self._names[module]}' ({kind}) on {by(shape)}: {error}"
            ) from error

    def _met_function(
        self, name: str, args: Any, kwargs: Any, out: Any
    ) -> tuple[Predicted, int] | None:
        stand_in = functional_layer(name, args, kwargs)
        if stand_in is None:
            return None
        x, y = next(tensors_in((args, kwargs))), next(tensors_in(out))
        predicted = predict(stand_in, tuple(x.shape))
        before = self._tracer.flow(x)
        if before is None:
            return None  # the image is a constant, such as a fixed filter's response
        flow = before.through(predicted, x.ndim)
        where = self._where()
        weights = [t for t in tensors_in((args, kwargs)) if isinstance(t, nn.Parameter)]
        self._add(f"{where}.{name}", name, x, y, predicted, flow, stand_in, weights)
        if self.visit:
            self.visit(len(self.rows) - 1, stand_in, x.detach().clone(), y.detach().clone())
        return predicted, len(self.rows) - 1

    def _add(
        self,
        name: str,
        kind: str,
        x: Tensor,
        y: Tensor,
        predicted: Predicted,
        flow: Flow,
        module: nn.Module,
        weights: list[nn.Parameter] | None = None,
    ) -> None:
        own = list(module.parameters()) if weights is None else weights
        fresh = [p for p in own if id(p) not in self._counted]
        self._counted.update(map(id, own))
        self.rows.append(
            Layer(
                name=name,
                kind=kind,
                input=tuple(x.shape),
                output=tuple(y.shape),
                predicted=predicted,
                parameters=sum(p.numel() for p in fresh),
                shared=bool(own) and not fresh,
                macs=predicted.macs,
                activation=y.numel() * y.element_size(),
                fields=flow.fields,
                whole=flow.whole,
                sources=flow.sources,
                module=module,
                groups=int(getattr(module, "groups", 1)),
            )
        )
