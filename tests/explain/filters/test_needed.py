import numpy as np
import pytest
import torch
from torch import nn

from mien.explain.filters.layer import choose_layer
from mien.explain.filters.needed import needed

GREY = 100.0


def as_is(pixels):
    return pixels.float()


class Averages(nn.Module):
    """Filter 0 averages an 8×8 block in its field of 32×32, filter 1 the whole field."""

    def __init__(self):
        super().__init__()
        self.conv = nn.Conv2d(1, 2, 32, stride=4, bias=False)
        with torch.no_grad():
            self.conv.weight.zero_()
            self.conv.weight[0, 0, 5:13, 19:27] = 1 / 64
            self.conv.weight[1] = 1 / 1024

    def forward(self, x):
        return self.conv(x).mean(dim=(2, 3))


def look(images, filters, y=2, x=2):
    network = Averages()
    layer = choose_layer(network, torch.zeros(1, 1, 48, 48))
    count = len(filters)
    return layer, needed(
        network, layer, images, np.zeros(count, dtype=np.int64), np.array(filters),
        np.full(count, y), np.full(count, x), grey=GREY, as_input=as_is,
    )  # fmt: skip


def test_a_part_is_found_and_a_whole_is_needed():
    bright = np.full((1, 1, 48, 48), 200, dtype=np.uint8)
    layer, found = look(bright, [0, 1])
    field = layer.window(2, 2)
    assert (field.top, field.left) == (8, 8)
    part = found.windows[0]
    # The block lies at rows 13…20, columns 27…34; nine tenths of it must be seen, the soft rim
    # (half of a pixel's weight) included.
    rows = min(part.top + part.height, 21) - max(part.top, 13)
    columns = min(part.left + part.width, 35) - max(part.left, 27)
    assert (rows + 1) * (columns + 1) >= 0.9 * 64
    assert found.of_field[0] < 0.16  # the block is 0.0625 of the field, a tile of 6 its start
    assert 0.75 < found.of_field[1] <= 1
    assert found.of_picture == pytest.approx(found.of_field * 1024 / 2304)


def test_the_window_reaches_what_it_claims_to():
    rng = np.random.default_rng(0)
    images = rng.integers(120, 256, (1, 1, 48, 48), dtype=np.uint8)
    _, found = look(images, [0, 1])
    network = Averages()
    for f, window in enumerate(found.windows):
        rows, columns = window.slices
        seen = np.full((1, 1, 48, 48), GREY, dtype=np.float32)
        grown = (slice(rows.start - 1, rows.stop + 1), slice(columns.start - 1, columns.stop + 1))
        seen[0, 0][grown] = images[0, 0][grown]  # with the rim whole it reaches at least as much
        with torch.no_grad():
            reached = network.conv(torch.tensor(seen))[0, f, 2, 2].item()
            full = network.conv(torch.tensor(images).float())[0, f, 2, 2].item()
        assert reached >= GREY + 0.9 * (full - GREY) - 1e-3


def test_a_picture_that_does_not_fire_has_no_answer():
    dark = np.full((1, 1, 48, 48), 20, dtype=np.uint8)
    _, found = look(dark, [0])
    assert np.isnan(found.of_field).all()
