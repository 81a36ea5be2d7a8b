"""mien's ONNX files: what is sound is read as onnx reads it; all else is refused in one line."""

import random

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper

from mien.errors import ModelFileError
from mien.models.onnx_file import onnx_metadata, parse_onnx, read_onnx, seal_onnx


def graph(*, nodes=None, outside=None):
    weight = numpy_helper.from_array(np.arange(6, dtype=np.float32).reshape(2, 3), "w")
    if outside:
        weight.ClearField("raw_data")
        weight.data_location = TensorProto.EXTERNAL
        for key, value in outside.items():
            weight.external_data.add(key=key, value=str(value))
    nodes = nodes or [helper.make_node("MatMul", ["x", "w"], ["y"])]
    x = helper.make_tensor_value_info("x", TensorProto.FLOAT, ["N", 2])
    y = helper.make_tensor_value_info("y", TensorProto.FLOAT, ["N", 3])
    return helper.make_model(
        helper.make_graph(nodes, "g", [x], [y], [weight]),
        opset_imports=[helper.make_opsetid("", 18)],
    )


def sealed(proto, **meta):
    helper.set_model_props(proto, {"mien": onnx_metadata(meta)})
    return seal_onnx(proto.SerializeToString())


def test_what_is_sealed_comes_back():
    file = parse_onnx(sealed(graph(), classes=["a", "é"]), "f.onnx")
    assert file.meta["classes"] == ["a", "é"]
    assert (file.meta["kind"], file.outside) == ("onnx", ())
    onnx.checker.check_model(onnx.load_from_string(file.content))


def test_outside_tensors_are_read_as_onnx_reads_them():
    place = {"location": "n.safetensors", "offset": 800, "length": 24}
    content = sealed(graph(outside=place), weights={"file": "n.safetensors", "checksum": "x"})
    (found,) = parse_onnx(content, "f.onnx").outside
    own = onnx.load_from_string(content).graph.initializer[0]
    assert (found.name, found.kind, list(found.shape)) == (own.name, own.data_type, list(own.dims))
    assert (found.file, found.offset, found.length) == ("n.safetensors", 800, 24)


def test_every_altered_byte_and_truncation_is_refused():
    content = sealed(graph(), classes=["a", "b"])
    rng = random.Random(0)
    for _ in range(400):
        spoiled = bytearray(content)
        spoiled[rng.randrange(len(content))] ^= 1 << rng.randrange(8)
        with pytest.raises(ModelFileError) as caught:
            parse_onnx(bytes(spoiled), "f.onnx")
        assert "\n" not in str(caught.value)
        assert "f.onnx" in str(caught.value)
    for length in range(0, len(content), 7):
        with pytest.raises(ModelFileError):
            parse_onnx(content[:length], "f.onnx")


@pytest.mark.parametrize(
    "file", ["../n.safetensors", "/etc/passwd", "a/n.safetensors", "other.safetensors", "..", "",
             "..\\n.safetensors"],
)  # fmt: skip
def test_weights_elsewhere_are_refused(file):
    place = {"location": file, "offset": 0, "length": 24}
    for named in ("n.safetensors", file):
        content = sealed(graph(outside=place), weights={"file": named})
        if file == named and file == "other.safetensors":
            continue  # that one lies beside it
        with pytest.raises(ModelFileError, match="only a model file of mien's beside it"):
            parse_onnx(content, "f.onnx")


def test_weights_hidden_in_a_branch_are_found():
    secret = helper.make_tensor("s", TensorProto.FLOAT, [1], [0.0])
    secret.ClearField("float_data")
    secret.data_location = TensorProto.EXTERNAL
    secret.external_data.add(key="location", value="/etc/passwd")
    inner = helper.make_graph([helper.make_node("Constant", [], ["o"], value=secret)], "i", [], [])
    nodes = [
        helper.make_node("If", ["c"], ["y"], then_branch=inner, else_branch=inner),
    ]
    with pytest.raises(ModelFileError, match="/etc/passwd"):
        parse_onnx(sealed(graph(nodes=nodes)), "f.onnx")


def test_code_that_is_not_standard_is_refused():
    own = helper.make_node("Evil", ["x"], ["y"], domain="evil.com")
    with pytest.raises(ModelFileError, match=r"operators of 'evil\.com'"):
        parse_onnx(sealed(graph(nodes=[own])), "f.onnx")
    proto = graph()
    proto.functions.append(
        helper.make_function("", "f", ["a"], ["b"], [helper.make_node("Relu", ["a"], ["b"])],
                             [helper.make_opsetid("", 18)])
    )  # fmt: skip
    with pytest.raises(ModelFileError, match="functions of its own"):
        parse_onnx(sealed(proto), "f.onnx")


def test_foreign_files_are_told_apart(tmp_path):
    path = tmp_path / "m.onnx"
    for content, told in (
        (graph().SerializeToString(), "not an ONNX file of mien's"),
        (b"", "no ONNX file"),
        (b"\x89PNG\r\n\x1a\n" * 40, "no ONNX file"),
        (b"\xff" * 4000, "no ONNX file"),
    ):
        path.write_bytes(content)
        with pytest.raises(ModelFileError, match=told) as caught:
            read_onnx(path)
        assert str(path) in str(caught.value)
    proto = graph()
    helper.set_model_props(proto, {"mien": "[" * 100_000})
    path.write_bytes(proto.SerializeToString())
    with pytest.raises(ModelFileError, match="metadata is damaged"):
        read_onnx(path)
    with pytest.raises(ModelFileError, match="cannot be read"):
        read_onnx(tmp_path / "none.onnx")
