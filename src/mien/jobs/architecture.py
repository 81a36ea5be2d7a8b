"""The verb ``architecture``: a network layer by layer."""

from dataclasses import asdict, dataclass
from fractions import Fraction
from typing import Any

from mien.errors import RunError
from mien.jobs.foreign import open_network
from mien.theory.formulas import Predicted
from mien.theory.shapes import Field, Window
from mien.theory.walk import Layer, Walk, walk


@dataclass(frozen=True, kw_only=True)
class Architecture:
    """name: the network's. walk: its layers for a batch of one. notes: sentences to show."""

    name: str
    walk: Walk
    notes: tuple[str, ...]

    def to_json(self) -> dict[str, Any]:
        """Everything that is shown, JSON-able; shapes without the batch."""
        walked = self.walk
        return {
            "name": self.name,
            "input": list(walked.input[1:]),
            "output": list(walked.output[1:]),
            "parameters": walked.parameters,
            "macs": walked.macs,
            "activation_bytes": walked.activation,
            "layers": [_layer_json(number, one) for number, one in enumerate(walked.layers)],
        }


def architecture(model: str, *, input_shape: str = "") -> Architecture:
    """Walk a network once with one random picture.

    Raises:
        MienError: it cannot be opened, or a layer is impossible (named, with its arithmetic).
    """
    opened = open_network(model, input_shape)
    walked = walk(opened.network, opened.random_batch(1, 0))
    rows = sum(layer.parameters for layer in walked.layers)
    notes = list(opened.notes)
    if rows != walked.parameters:
        notes.append(f"{walked.parameters - rows:,} parameters belong to no layer of the table")
    unknown = sorted({layer.kind for layer in walked.layers if layer.as_predicted is None})
    if unknown:
        notes.append(f"no formula for {', '.join(unknown)}: shape as observed, MACs not counted")
    return Architecture(name=opened.name, walk=walked, notes=tuple(notes))


def walk_from_json(data: dict[str, Any]) -> Walk:
    """The walk that ``Architecture.to_json`` wrote, for a batch of one; without its modules.

    Raises:
        RunError: it was written by something else, or by another version of mien.
    """
    try:
        layers = tuple(_layer_from_json(one) for one in data["layers"])
        return Walk(
            input=(1, *data["input"]),
            output=(1, *data["output"]),
            layers=layers,
            parameters=int(data["parameters"]),
            buffers=0,
            ends=(len(layers) - 1,),
        )
    except (KeyError, TypeError, ValueError) as error:
        raise RunError(f"architecture.json: cannot be used ({error}); write it anew") from error


def _layer_from_json(data: dict[str, Any]) -> Layer:
    whole = data["receptive_field"] == "all"
    sizes = [] if whole else zip(
        data["receptive_field"] or [], data["jump"] or [], data["centre"] or [], strict=True
    )  # fmt: skip
    fields = tuple(
        Field(Fraction(c) - half, Fraction(c) + half, Fraction(j))
        for s, j, c in sizes
        for half in [(Fraction(s) - 1) / 2]
    )
    output = (1, *data["output"])
    return Layer(
        name=data["name"],
        kind=data["kind"],
        input=(1, *data["input"]),
        output=output,
        predicted=Predicted(
            shape=output,
            windows=tuple(Window(**window) for window in data["windows"]),
            macs=data["macs"],
            arithmetic=tuple(data["arithmetic"]),
        ),
        parameters=data["parameters"],
        shared=data["shared"],
        macs=data["macs"],
        activation=data["activation_bytes"],
        fields=fields or None,
        whole=whole,
        sources=tuple(data["from"]),
        groups=data["groups"],
    )


def field_text(layer: Layer) -> str:
    """The receptive field for people: ``18×18``, ``all``, or ``?`` where it cannot be told."""
    if layer.whole:
        return "all"
    return "?" if layer.fields is None else "×".join(_number(f.size) for f in layer.fields)


def jump_text(layer: Layer) -> str:
    """The pixels between neighbouring fields, ``–`` where there are none."""
    if layer.whole or layer.fields is None:
        return "–"
    return "×".join(_number(f.jump) for f in layer.fields)


def centre_text(layer: Layer) -> str:
    """The pixel at which the first output element is centred."""
    if layer.whole or layer.fields is None:
        return "–"
    return ",".join(_number(f.centre) for f in layer.fields)


def _number(value: Fraction) -> str:
    return str(value) if value.denominator == 1 else f"{float(value):.4g}"


def _layer_json(number: int, layer: Layer) -> dict[str, Any]:
    known = layer.fields if not layer.whole else None
    return {
        "number": number,
        "name": layer.name,
        "kind": layer.kind,
        "from": list(layer.sources),
        "input": list(layer.input[1:]),
        "output": list(layer.output[1:]),
        "arithmetic": list(layer.predicted.arithmetic),
        "windows": [asdict(window) for window in layer.predicted.windows],
        "groups": layer.groups,
        "parameters": layer.parameters,
        "shared": layer.shared,
        "macs": layer.macs,
        "activation_bytes": layer.activation,
        "receptive_field": "all" if layer.whole else known and [float(f.size) for f in known],
        "jump": known and [float(f.jump) for f in known],
        "centre": known and [float(f.centre) for f in known],
    }
