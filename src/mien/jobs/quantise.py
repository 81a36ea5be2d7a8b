"""An ONNX graph in eight bits, its ranges taken from pictures."""

import contextlib
import logging
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

# What eight bits serve: where the time goes. Preprocessing and what follows the logits stay.
_QUANTISED = ("Conv", "Gemm", "MatMul", "MaxPool", "Add", "Relu", "LeakyRelu", "Gelu")


def quantise(proto: Any, pictures: NDArray[np.uint8]) -> Any:
    """The graph in eight bits (static, each output channel of its own), ranges from ``pictures``.

    Only what leads to the logits is quantised; the score of novelty reads the same layers.
    """
    import onnx
    from onnxruntime.quantization import CalibrationDataReader, QuantType, quantize_static

    class Reader(CalibrationDataReader):  # type: ignore[misc]
        def __init__(self) -> None:
            starts = range(0, len(pictures), 64)
            self.batches: Iterator[Any] = iter([pictures[at : at + 64] for at in starts])

        def get_next(self) -> dict[str, Any] | None:
            batch = next(self.batches, None)
            return None if batch is None else {"images": np.ascontiguousarray(batch)}

    with tempfile.TemporaryDirectory() as folder:
        before, after = Path(folder) / "before.onnx", Path(folder) / "after.onnx"
        ready = _folded(proto, before)
        with _unheard():
            quantize_static(
                str(before), str(after), Reader(), per_channel=True,
                activation_type=QuantType.QUInt8, weight_type=QuantType.QInt8,
                op_types_to_quantize=list(_QUANTISED), nodes_to_exclude=_beyond_logits(ready),
            )  # fmt: skip
        return onnx.load(str(after))


@contextlib.contextmanager
def _unheard() -> Iterator[None]:
    """The quantiser logs that the graph should be folded first, which it was."""
    before = logging.root.manager.disable
    try:
        logging.disable(logging.WARNING)
        yield
    finally:
        logging.disable(before)


def _folded(proto: Any, path: Path) -> Any:
    """Normalisation folded into convolutions by onnxruntime's basic rewriting, as a new graph."""
    import onnx
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_ENABLE_BASIC
    options.optimized_model_filepath = str(path)
    options.log_severity_level = 3
    onnxruntime.InferenceSession(
        proto.SerializeToString(), options, providers=["CPUExecutionProvider"]
    )
    ready = onnx.load(str(path))
    # It declares every set of operators that it knows; a reader would take them for needed.
    used = {node.domain for node in ready.graph.node}
    needed = [opset for opset in ready.opset_import if opset.domain in used]
    del ready.opset_import[:]
    ready.opset_import.extend(needed)
    for number, node in enumerate(ready.graph.node):
        node.name = f"n{number}"
    onnx.save(ready, str(path))
    return ready


def _beyond_logits(proto: Any) -> list[str]:
    """Names of the nodes that the last linear layer before the logits does not rest on."""
    makers = {name: node for node in proto.graph.node for name in node.output}
    gemms = [node for node in proto.graph.node if node.op_type == "Gemm"]
    wanted = [gemms[-1]] if gemms else []
    reached: set[str] = set()
    while wanted:
        node = wanted.pop()
        if node.name not in reached:
            reached.add(node.name)
            wanted += [makers[name] for name in node.input if name in makers]
    return [node.name for node in proto.graph.node if node.name not in reached]
