"""Pictures are made worse as promised, and drops are counted on the same pictures."""

import numpy as np
import pytest
from scipy import ndimage

from mien.data.synthetic import generate
from mien.errors import DataError
from mien.jobs.robustness import STRENGTHS, changed, robustness


@pytest.fixture(scope="module")
def faces():
    return generate(40, seed=3).images


def test_changes_against_scipy(faces):
    blurred = ndimage.gaussian_filter(
        faces.astype(float), (0, 0, 1.5, 1.5), mode="mirror", truncate=4
    )
    assert np.abs(changed(faces, "blur", 1.5) - blurred).max() < 3
    np.testing.assert_array_equal(
        changed(faces, "bright", 1.8), np.minimum(np.rint(faces * 1.8), 255).astype(np.uint8)
    )
    half = faces.reshape(40, 1, 24, 2, 24, 2).mean(axis=(3, 5))
    small = changed(faces, "size", 24)
    inner = small[:, :, 1::2, 1::2][:, :, :-1, :-1].astype(float)
    # Between four pixels of the small picture a linear enlargement weighs them 9:3:3:1.
    wanted = (9 * half[..., :-1, :-1] + 3 * half[..., :-1, 1:] + 3 * half[..., 1:, :-1]
              + half[..., 1:, 1:]) / 16  # fmt: skip
    assert np.abs(inner - wanted).max() < 2


def test_turning_goes_to_both_sides_and_hiding_hides_a_square(faces):
    line = np.zeros((40, 1, 48, 48), dtype=np.uint8)
    line[:, :, 23:25, :] = 255
    turned = changed(line, "rotation", 30)
    slopes = []
    for picture in turned[:, 0]:
        y, x = np.nonzero(picture[12:36, 12:36] > 128)
        slopes.append(np.degrees(np.arctan(np.polyfit(x, y, 1)[0])))
    assert {round(abs(s), -1) for s in slopes} == {30}
    assert min(slopes) < 0 < max(slopes)
    hidden = changed(faces, "occlusion", 0.5)
    grey = (hidden == 128).reshape(40, -1).sum(axis=1)
    assert (grey >= 24 * 24).all()
    assert (hidden != faces).reshape(40, -1).sum(axis=1).max() <= 24 * 24
    np.testing.assert_array_equal(hidden, changed(faces, "occlusion", 0.5))
    with pytest.raises(ValueError, match="fog"):
        changed(faces, "fog", 1)


def test_drops_are_paired(faces):
    labels = np.arange(40) % 2
    calls = []

    def answer(pictures):
        """Right at first; then wrong on the first ten; from the third condition on all right."""
        calls.append(len(pictures))
        said = labels.copy()
        if len(calls) == 2:
            said[:10] = 1 - said[:10]
        return said

    found = robustness(answer, faces, labels)
    assert found.n == 40
    assert found.plain.value == 1
    assert len(found.conditions) == sum(map(len, STRENGTHS.values())) == len(calls) - 1
    first, second = found.conditions[:2]
    assert (first.kind, first.strength) == ("blur", 0.5)
    assert first.accuracy.value == 0.75
    assert first.drop.value == 0.25
    assert first.drop.low > 0.05
    assert second.drop.value == 0
    with pytest.raises(DataError):
        robustness(answer, faces[:0], labels[:0])
