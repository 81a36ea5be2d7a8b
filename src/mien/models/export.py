"""A network as an ONNX graph that needs nothing around it: pixels in, calibrated confidence out.

Input ``images`` uint8 N×C×size×size, any N. Outputs ``probabilities`` float32 N×K (temperature
and, where asked for, the average with the mirror image inside), ``logits`` float32 N×K before the
temperature, and ``novelty`` float32 N where the network gives one beside its logits.

Exported with torch's exporter over ``torch.export`` (the older one, by tracing, is deprecated and
its graphs are no faster; both were measured). Its rewriting of the graph is left out: weights stay
the tensors that the model file holds, so that a graph may refer to them there, and onnxruntime
folds normalisation into convolutions by itself when it loads.
"""

import contextlib
import copy
import json
import logging
import math
import warnings
from collections.abc import Iterator
from typing import Any

import torch
from torch import Tensor, nn

from mien.errors import NetworkError
from mien.models.blocks import ConvBlock
from mien.models.onnx_file import onnx_metadata, seal_onnx
from mien.theory.smoothing import LEAST

OPSET = 20
INPUT = "images"
OUTPUTS = ("probabilities", "logits", "novelty")


class Served(nn.Module):
    """A network as it answers: uint8 N×C×H×W to probabilities, logits and, if any, novelty.

    Args:
        network: gives N×K logits, or a pair of these and N scores of novelty.
        temperature: the logits are divided by it. smoothing: of the labels in training, taken back
            before that; 0 for none. flip: average the probabilities with those of
            the mirror image; the logits are then the logarithm of that mean. The novelty is
            always that of the picture as it is, for which its threshold holds.
    """

    temperature: Tensor

    def __init__(
        self, network: nn.Module, *, temperature: float, flip: bool, smoothing: float = 0.0
    ) -> None:
        super().__init__()
        self.network, self.flip, self.smoothing = network, flip, smoothing
        self.register_buffer("temperature", torch.tensor(float(temperature)))

    def forward(self, images: Tensor) -> tuple[Tensor, ...]:
        """Float32 N×K, N×K and, where the network gives one, N."""
        # One batch of both views: the network's weights are read once.
        out = self.network(torch.cat([images, images.flip(-1)]) if self.flip else images)
        logits, novelty = out if isinstance(out, tuple) else (out, None)
        if self.flip:
            both = logits.reshape(2, -1, logits.shape[1]).log_softmax(dim=-1)
            logits = both.logsumexp(dim=0) - math.log(2)
            novelty = None if novelty is None else novelty.reshape(2, -1)[0]
        probabilities = (self._meant(logits) / self.temperature).softmax(dim=-1)
        return (probabilities, logits) if novelty is None else (probabilities, logits, novelty)

    def _meant(self, logits: Tensor) -> Tensor:
        """As ``theory.smoothing.unsmoothed``."""
        if not self.smoothing:
            return logits
        meant = logits.softmax(dim=-1) - self.smoothing / logits.shape[-1]
        return (meant / (1 - self.smoothing)).clamp(min=LEAST).log()


def to_onnx(served: Served, *, channels: int, size: int) -> Any:
    """The graph as an ``onnx.ModelProto`` with float32 weights inside, without metadata.

    Raises:
        NetworkError: the network cannot be expressed in ONNX.
    """
    import onnx
    from onnxscript import optimizer

    module = Served(_pooling_last(served.network, channels, size),
                    temperature=float(served.temperature), flip=served.flip,
                    smoothing=served.smoothing).eval()  # fmt: skip
    example = torch.randint(0, 256, (4, channels, size, size), dtype=torch.uint8,
                            generator=torch.Generator().manual_seed(0))  # fmt: skip
    with torch.no_grad():
        names = list(OUTPUTS[: len(module(example))])
    try:
        with _quiet():
            program = torch.onnx.export(
                module, (example,), dynamo=True, optimize=False, verbose=False,
                opset_version=OPSET, input_names=[INPUT], output_names=names,
                dynamic_shapes=({0: torch.export.Dim("N", min=1)},),
            )  # fmt: skip
            assert program is not None
            optimizer.fold_constants_ir(program.model)
            optimizer.remove_unused_nodes(program.model)
            proto = program.model_proto
    except Exception as error:
        said = (str(error).strip() or type(error).__name__).splitlines()[0]
        raise NetworkError(f"this network cannot be written as ONNX: {said[:200]}") from error
    _tidy(proto)
    onnx.checker.check_model(proto)
    return proto


def with_metadata(proto: Any, meta: dict[str, Any]) -> bytes:
    """The sealed bytes of a model with its card (see ``onnx_file``)."""
    import onnx

    proto = copy.deepcopy(proto)
    del proto.metadata_props[:]
    onnx.helper.set_model_props(proto, {"mien": onnx_metadata(meta)})
    return seal_onnx(proto.SerializeToString(deterministic=True))


def _tidy(proto: Any) -> None:
    """Take out what the exporter tells of its own work, the paths of this machine among it."""
    proto.doc_string, proto.producer_name, proto.producer_version = "", "mien", ""
    graph = proto.graph
    graph.name, graph.doc_string = "mien", ""
    del proto.metadata_props[:], graph.metadata_props[:], graph.value_info[:]
    for part in (*graph.node, *graph.initializer, *graph.input, *graph.output):
        part.doc_string = ""
        del part.metadata_props[:]


def _pooling_last(network: nn.Module, channels: int, size: int) -> nn.Module:
    """The same function with pooling behind normalisation, where all scales are positive.

    ``ConvBlock`` pools first because that is less work in training. A runtime folds a normalisation
    that stands right behind its convolution into the weights, and then it is no work at all.
    """
    moved = copy.deepcopy(network).eval()
    for block in moved.modules():
        if isinstance(block, ConvBlock) and bool((block.normalisation.weight > 0).all()):
            block.pool_first = False
    batch = torch.randint(0, 256, (8, channels, size, size), dtype=torch.uint8,
                          generator=torch.Generator().manual_seed(1))  # fmt: skip
    with torch.no_grad():
        before, after = _flat(network(batch)), _flat(moved(batch))
    # Where a score of novelty looks into such a block, moving its parts changes what it sees.
    same = all(
        a.shape == b.shape and torch.allclose(a, b, rtol=1e-3, atol=1e-3)
        for a, b in zip(before, after, strict=True)
    )
    return moved if same else network


def _flat(out: Tensor | tuple[Tensor, ...]) -> tuple[Tensor, ...]:
    return out if isinstance(out, tuple) else (out,)


@contextlib.contextmanager
def _quiet() -> Iterator[None]:
    """The exporter warns and logs of packages that are not there and that nothing here needs."""
    logger = logging.getLogger("torch.onnx")
    level = logger.level
    try:
        logger.setLevel(logging.ERROR)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        logger.setLevel(level)


def keep_beside(proto: Any, content: bytes, file: str) -> Any:
    """The graph with its halved weights taken from a model file of half precision beside it.

    Each float32 weight that the file holds as float16 becomes a reference to those bytes and a
    cast, which the runtime folds away when it loads; so no weight is stored twice.

    Args:
        proto: as ``to_onnx`` gives it, of the model that ``content`` holds.
        content: of a ``.safetensors`` file. file: its name, beside which the graph will lie.

    Raises:
        ValueError: a weight of the graph is not what the file holds under its name.
    """
    import numpy as np
    import onnx

    proto = copy.deepcopy(proto)
    graph, header = proto.graph, int.from_bytes(content[:8], "little")
    stored = json.loads(content[8 : 8 + header])
    casts = []
    for tensor in graph.initializer:
        key = next((k for k in _endings(tensor.name) if k in stored), "")
        if not key or stored[key]["dtype"] != "F16":
            continue
        start, end = (8 + header + at for at in stored[key]["data_offsets"])
        half = np.frombuffer(content[start:end], dtype="<f2").reshape(stored[key]["shape"])
        own = onnx.numpy_helper.to_array(tensor)
        if own.shape != half.shape or not np.array_equal(own, half.astype(np.float32)):
            raise ValueError(f"'{tensor.name}' is not the '{key}' of {file}")
        casts.append(onnx.helper.make_node("Cast", [f"{key}.half"], [tensor.name],
                                           to=onnx.TensorProto.FLOAT))  # fmt: skip
        tensor.ClearField("raw_data")
        tensor.ClearField("float_data")
        tensor.name, tensor.data_type = f"{key}.half", onnx.TensorProto.FLOAT16
        tensor.data_location = onnx.TensorProto.EXTERNAL
        for name, value in (("location", file), ("offset", start), ("length", end - start)):
            tensor.external_data.add(key=name, value=str(value))
    nodes = [*casts, *graph.node]
    del graph.node[:]
    graph.node.extend(nodes)
    return proto


def _endings(name: str) -> Iterator[str]:
    """A tensor's name without the modules around the network, from long to short."""
    while name:
        yield name
        name = name.partition(".")[2]
