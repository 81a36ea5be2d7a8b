"""Whatever shows a picture becomes H×W×3 RGB, or one line says why not."""

import io
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from predictors import predictor

from mien.data import pictures as reading
from mien.errors import DataError, OptionError
from mien.predict import pictures
from mien.predict.pictures import is_one, read_picture
from picture_files import encoded, face

RGB = np.random.default_rng(1).integers(0, 256, (20, 30, 3), dtype=np.uint8)


def test_path_bytes_pillow_and_arrays_are_the_same_picture(tmp_path: Path) -> None:
    path = tmp_path / "a.png"
    path.write_bytes(encoded(RGB))
    for image in (path, str(path), encoded(RGB), Image.fromarray(RGB), RGB, Image.open(path)):
        shown = read_picture(image)
        np.testing.assert_array_equal(shown, RGB)
        assert shown.dtype == np.uint8
        assert shown.flags.c_contiguous


def test_grey_becomes_three_equal_channels() -> None:
    for image in (face(0), encoded(face(0)), Image.fromarray(face(0))):
        np.testing.assert_array_equal(read_picture(image), np.repeat(face(0)[:, :, None], 3, 2))


@pytest.mark.parametrize("pillow", [False, True])
def test_orientation_alpha_palette_depth_and_frames(pillow: bool) -> None:
    def shown(data: bytes) -> np.ndarray:
        return read_picture(Image.open(io.BytesIO(data)) if pillow else data)

    exif = Image.Exif()
    exif[0x0112] = 6  # stored a quarter turn counter-clockwise
    stored = Image.fromarray(RGB).transpose(Image.Transpose.ROTATE_90)
    np.testing.assert_array_equal(shown(encoded(stored, exif=exif)), RGB)
    alpha = np.full((20, 30), 255, np.uint8)
    alpha[:10] = 0
    over = shown(encoded(np.dstack([RGB, alpha])))
    assert (over[:10] == 255).all()
    np.testing.assert_array_equal(over[10:], RGB[10:])
    palette = Image.fromarray(RGB).quantize(8)
    np.testing.assert_array_equal(shown(encoded(palette)), np.asarray(palette.convert("RGB")))
    cmyk = Image.fromarray(RGB).convert("CMYK")
    np.testing.assert_array_equal(shown(encoded(cmyk, "TIFF")), np.asarray(cmyk.convert("RGB")))
    deep = face(0).astype(np.uint16) * 257
    np.testing.assert_array_equal(shown(encoded(deep))[:, :, 1], face(0))
    frames = [Image.fromarray(np.full((8, 8), value, np.uint8)) for value in (10, 200)]
    moving = encoded(frames[0], "GIF", save_all=True, append_images=frames[1:])
    assert (shown(moving) == 10).all()


def test_what_cannot_be_read_is_one_line_with_the_name(tmp_path: Path) -> None:
    broken = tmp_path / "broken.jpg"
    broken.write_bytes(encoded(RGB, "JPEG")[:200])
    text = tmp_path / "notes.txt"
    text.write_text("no picture")
    for path, cause in ((broken, "cannot be decoded"), (text, "no picture in any of JPEG"),
                        (tmp_path / "none.png", "No such file"),
                        (tmp_path, "not a plain file")):  # fmt: skip
        with pytest.raises(DataError, match=cause) as caught:
            read_picture(path)
        assert str(caught.value).startswith(str(path))
        assert "\n" not in str(caught.value)
    with pytest.raises(DataError, match="the picture: no picture in any"):
        read_picture(encoded(Image.new("RGB", (8, 8)), "ICO"))


def test_too_many_pixels_or_bytes(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(reading, "MAX_PIXELS", 500)
    monkeypatch.setattr(pictures, "MAX_PIXELS", 500)
    for image in (encoded(RGB), Image.fromarray(RGB), RGB):
        with pytest.raises(DataError, match="pixels are over the 500 allowed"):
            read_picture(image)
    monkeypatch.setattr(pictures, "_MAX_BYTES", 10)
    (tmp_path / "large.png").write_bytes(encoded(RGB))
    with pytest.raises(DataError, match=r"large.png: over 0 MiB"):
        read_picture(tmp_path / "large.png")


def test_arrays_of_another_layout_say_what_to_give() -> None:
    for array, message in ((RGB.transpose(2, 0, 1), "3×20×30; give H×W or H×W×3"),
                           (RGB / 255, "array of float64; give uint8"),
                           (np.zeros((4, 4, 4), np.uint8), "4×4×4; give")):  # fmt: skip
        with pytest.raises(OptionError, match=message):
            read_picture(array)
    with pytest.raises(DataError, match="no pixels"):
        read_picture(np.zeros((0, 4, 3), np.uint8))
    with pytest.raises(OptionError, match="the picture: int; give a path"):
        read_picture(7)  # type: ignore[arg-type]


def test_one_or_several() -> None:
    assert all(map(is_one, ["a.png", Path("a"), b"", RGB, face(0), Image.new("L", (1, 1))]))
    assert not any(map(is_one, [[RGB], (RGB,), RGB[None], iter([RGB])]))


def test_an_open_file_is_not_taken_for_many_pictures() -> None:
    """To go through one gives its lines, as bytes."""
    with pytest.raises(OptionError, match="the picture: BytesIO; give a path, bytes"):
        predictor().predict(io.BytesIO(encoded(RGB)))
