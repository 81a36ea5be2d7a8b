import re
from pathlib import Path

import pytest
import torch
from networks import Dilated, ResNet, plain
from PIL import Image

from mien.app.figures.architecture import draw_architecture
from mien.theory.walk import walk


@pytest.mark.parametrize("make", [plain, ResNet, Dilated])
def test_every_dimension_is_written_and_nothing_leaves_the_page(tmp_path: Path, make) -> None:
    found = walk(make(), torch.rand(1, 1, 24, 24))
    svg, png = draw_architecture(found, tmp_path / "net", title="a net")
    text = svg.read_text(encoding="utf-8")
    written = re.findall(r"<text[^>]*>([^<]*)</text>", text)
    shaped = {"Conv2d", "conv2d", "MaxPool2d", "Linear", "AdaptiveAvgPool2d", "avg_pool2d"}
    for layer in found.layers:
        if layer.kind in shaped:
            assert "×".join(map(str, layer.output[1:])) in written, layer.name
    assert "1×24×24" in written
    with Image.open(png) as image:
        assert image.width == 1500
        # A margin without ink on the right and at the foot: no block or word is cut off.
        grey = image.convert("L")
        assert grey.crop((image.width - 8, 0, *image.size)).getextrema()[0] > 250
        assert grey.crop((0, image.height - 4, *image.size)).getextrema()[0] > 250


def test_skip_connections_are_drawn_apart(tmp_path: Path) -> None:
    residual = draw_architecture(walk(ResNet(), torch.rand(1, 1, 24, 24)), tmp_path / "a", title="")
    straight = draw_architecture(walk(plain(), torch.rand(1, 1, 24, 24)), tmp_path / "b", title="")
    vermillion = "stroke: #d55e00"
    assert residual[0].read_text().count(vermillion) >= 2
    assert straight[0].read_text().count(vermillion) == 0


def test_the_same_network_gives_the_same_bytes(tmp_path: Path) -> None:
    found = walk(plain(), torch.rand(1, 1, 24, 24))
    first = draw_architecture(found, tmp_path / "a", title="x")
    second = draw_architecture(found, tmp_path / "b", title="x")
    for a, b in zip(first, second, strict=True):
        assert a.read_bytes() == b.read_bytes()


def test_strides_that_differ_are_both_written(tmp_path: Path) -> None:
    svg, _ = draw_architecture(walk(Dilated(), torch.rand(1, 1, 24, 24)), tmp_path / "a", title="")
    written = re.findall(r"<text[^>]*>([^<]*)</text>", svg.read_text(encoding="utf-8"))
    assert {"conv 5×3", "stride 2×1", "dilation 3", "4 groups"} <= set(written)
