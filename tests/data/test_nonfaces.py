import numpy as np
import pytest

from mien.data import nonfaces
from mien.data.synthetic import generate
from mien.errors import OptionError


@pytest.fixture(scope="module")
def faces() -> np.ndarray:
    return generate(12, seed=3).images


@pytest.mark.parametrize("kind", list(nonfaces.DRAWN))
def test_every_kind_is_seeded_and_varied(kind: str) -> None:
    six = nonfaces.generate(kind, 6, seed=1)
    assert (six.shape, six.dtype) == ((6, 1, 48, 48), np.uint8)
    np.testing.assert_array_equal(nonfaces.generate(kind, 3, seed=1), six[:3])
    assert not np.array_equal(nonfaces.generate(kind, 6, seed=2), six)
    assert len({one.tobytes() for one in six}) == 6
    assert six.reshape(6, -1).std(axis=1).mean() > 8
    assert nonfaces.generate(kind, 1, seed=0, size=96).shape == (1, 1, 96, 96)


def test_no_such_kind() -> None:
    with pytest.raises(OptionError, match="'cats'"):
        nonfaces.generate("cats", 1)


def test_scrambling_moves_every_patch_and_keeps_the_pixels(faces: np.ndarray) -> None:
    mixed = nonfaces.scrambled(faces, seed=1)
    for face, other in zip(faces, mixed, strict=True):
        np.testing.assert_array_equal(np.sort(face.ravel()), np.sort(other.ravel()))
    # On a picture whose pixels are all different, no patch is where it was.
    ramp = np.arange(144, dtype=np.uint8).reshape(1, 1, 12, 12)
    assert (nonfaces.scrambled(ramp, seed=0) != ramp).all()
    with pytest.raises(OptionError, match="50×50"):
        nonfaces.scrambled(np.zeros((1, 1, 50, 50), dtype=np.uint8))


def test_turning(faces: np.ndarray) -> None:
    np.testing.assert_array_equal(nonfaces.upside_down(nonfaces.upside_down(faces)), faces)
    quarter = nonfaces.turned(faces, seed=0)
    both = [
        tuple(np.array_equal(q[0], np.rot90(f[0], k)) for k in (1, 3))
        for q, f in zip(quarter, faces, strict=True)
    ]
    assert set(both) == {(True, False), (False, True)}


def test_parts_and_worn_faces(faces: np.ndarray) -> None:
    assert nonfaces.parts(faces, seed=0).shape == faces.shape
    worn = nonfaces.worn(faces, seed=0)
    assert not np.array_equal(worn, faces)
    alike = [np.corrcoef(a.ravel(), b.ravel())[0, 1] for a, b in zip(faces, worn, strict=True)]
    assert min(alike) > 0.8


def test_crops_come_from_the_pictures() -> None:
    light = np.full((60, 200), 200, dtype=np.uint8)
    dark = np.tile(np.arange(100, dtype=np.uint8), (80, 1))
    made = nonfaces.crops([light, dark], 8, seed=0)
    assert (made[::2] == 200).all()
    assert made[1::2].max() < 100
    small = nonfaces.crops([np.eye(20, dtype=np.uint8) * 255], 2, seed=0)
    assert small.shape == (2, 1, 48, 48)
