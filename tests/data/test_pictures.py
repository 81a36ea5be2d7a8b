"""One encoded picture to an array: modes, sizes, orientation, and whatever is broken."""

import io
import struct
import warnings
import zipfile
import zlib
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import BmpImagePlugin, Image

from mien.data import pictures
from mien.data.pictures import decode, describe, is_picture
from mien.data.reading import How
from mien.errors import RecordError
from picture_files import encoded, face
from side_by_side import Place

RGB = np.random.default_rng(1).integers(0, 256, (48, 48, 3), dtype=np.uint8)


def grey(data: bytes, **options: Any) -> Any:
    return decode(data, "x.png", **options)[0][0]


@pytest.mark.parametrize("format", ["PNG", "BMP", "GIF", "TIFF", "PPM"])
def test_grey_pictures_come_through_unchanged(format: str) -> None:
    np.testing.assert_array_equal(grey(encoded(face(0), format)), face(0))


@pytest.mark.parametrize("format", ["JPEG", "WEBP"])
def test_lossy_pictures_come_close(format: str) -> None:
    smooth = np.add.outer(np.arange(48), np.arange(48)).astype(np.uint8) * 2
    data = encoded(Image.fromarray(smooth).convert("RGB"), format, quality=95)
    assert np.abs(grey(data).astype(int) - smooth).mean() < 3


def test_colour_is_luma_or_kept() -> None:
    pixels, done = decode(encoded(RGB), "x")
    luma = (RGB @ np.array([0.299, 0.587, 0.114])).round()
    assert np.abs(pixels[0] - luma).max() <= 1
    assert done == ("greyed",)
    pixels, done = decode(encoded(RGB), "x", colour=True)
    np.testing.assert_array_equal(pixels, RGB.transpose(2, 0, 1))
    assert done == ()
    pixels, done = decode(encoded(face(0)), "x", colour=True)
    np.testing.assert_array_equal(pixels, np.repeat(face(0)[None], 3, axis=0))
    assert done == ("repeated",)


def test_sixteen_bits_become_eight() -> None:
    values = (face(0).astype(np.uint16) * 257).astype(np.uint16)
    for format in ("PNG", "TIFF"):
        pixels, done = decode(encoded(values, format), "x")
        np.testing.assert_array_equal(pixels[0], face(0))
        assert done == ("deep",)
    header = b"P5 48 48 65535\n"  # Pillow reads this one in mode I
    np.testing.assert_array_equal(grey(header + values.astype(">u2").tobytes()), face(0))


def test_values_without_a_range_are_refused() -> None:
    for values in (np.zeros((8, 8), np.float32), np.full((8, 8), -1, np.int32)):
        with pytest.raises(RecordError, match=r"x.png: cannot be decoded \(mode [FI] .*8-bit"):
            grey(encoded(values, "TIFF"))


def test_palettes_bits_and_cmyk() -> None:
    palette = Image.fromarray(RGB).quantize(16)
    expected = np.asarray(palette.convert("RGB").convert("L"))
    np.testing.assert_array_equal(grey(encoded(palette)), expected)
    bits = Image.fromarray(face(0) > 99)
    np.testing.assert_array_equal(grey(encoded(bits)), np.where(face(0) > 99, 255, 0))
    cmyk = Image.fromarray(RGB).convert("CMYK")
    luma = np.asarray(cmyk.convert("RGB").convert("L"))
    np.testing.assert_array_equal(grey(encoded(cmyk, "TIFF")), luma)


def test_transparency_is_laid_on_white() -> None:
    alpha = np.zeros((48, 48), np.uint8)
    alpha[:24] = 255
    hidden = Image.fromarray(np.dstack([RGB, alpha]))
    pixels, done = decode(encoded(hidden), "x", colour=True)
    np.testing.assert_array_equal(pixels[:, :24], RGB.transpose(2, 0, 1)[:, :24])
    assert (pixels[:, 24:] == 255).all()
    assert done == ("transparent",)
    both = Image.merge("LA", [Image.fromarray(face(0)), Image.fromarray(alpha)])
    pixels, done = decode(encoded(both), "x")
    np.testing.assert_array_equal(pixels[0, :24], face(0)[:24])
    assert (pixels[0, 24:] == 255).all()
    assert done == ("transparent",)
    palette = Image.fromarray(RGB).quantize(4)
    shown = grey(encoded(palette, transparency=0))
    assert (shown[np.asarray(palette) == 0] == 255).all()


@pytest.mark.parametrize("orientation", range(1, 9))
@pytest.mark.parametrize("format", ["PNG", "TIFF", "WEBP"])
def test_exif_orientation_is_honoured(orientation: int, format: str) -> None:
    """The stored picture is the upright one under the inverse of what the tag asks for."""
    upright = Image.fromarray(face(3))
    undo = {1: None, 2: 0, 3: 3, 4: 1, 5: 5, 6: 2, 7: 6, 8: 4}[orientation]
    stored = upright if undo is None else upright.transpose(Image.Transpose(undo))
    exif = Image.Exif()
    exif[0x0112] = orientation
    options = {"lossless": True} if format == "WEBP" else {}
    data = encoded(stored, format, exif=exif, **options)
    np.testing.assert_array_equal(grey(data), face(3))


def test_sizes_are_resampled_without_aliasing() -> None:
    board = (np.indices((480, 480)).sum(axis=0) % 2 * 255).astype(np.uint8)
    pixels, done = decode(encoded(board), "x")
    assert np.abs(pixels.astype(int) - 127).max() <= 2
    assert done == ("resized",)
    pixels, done = decode(encoded(Image.new("L", (1, 300), 77)), "x", size=20)
    assert pixels.shape == (1, 20, 20)
    assert (pixels == 77).all()
    assert done == ("resized", "squeezed")


def test_a_picture_of_too_many_pixels_is_not_decoded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pictures, "MAX_PIXELS", 48 * 48)
    assert grey(encoded(face(0))).shape == (48, 48)
    with pytest.raises(RecordError, match="49×49 pixels are over the 2,304 allowed"):
        grey(encoded(face(0, 49)))


def test_a_png_that_claims_a_gigapixel() -> None:
    def chunk(kind: bytes, data: bytes) -> bytes:
        return (
            struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))
        )

    body = chunk(b"IDAT", zlib.compress(bytes(100_000))) + chunk(b"IEND", b"")
    for side, message in ((40_000, "decompression bomb"), (9000, "over the 64,000,000 allowed")):
        header = chunk(b"IHDR", struct.pack(">IIBBBBB", side, side, 8, 0, 0, 0, 0))
        with pytest.raises(RecordError, match=message):
            grey(b"\x89PNG\r\n\x1a\n" + header + body)


@pytest.mark.parametrize(
    "data",
    [b"", b"\0" * 99, b"P5", b"GIF89a", b"\xff\xd8\xff", b"%PDF-1.4", b"%!PS-Adobe-3.0 EPSF"],
)
def test_what_is_no_picture(data: bytes) -> None:
    with pytest.raises(RecordError) as caught:
        grey(data)
    assert str(caught.value).startswith("x.png: ")
    assert "\n" not in str(caught.value)


def test_formats_that_are_not_allowed() -> None:
    for format in ("ICO", "TGA", "PCX", "PDF", "EPS"):
        with pytest.raises(RecordError, match="no picture in any of JPEG, PNG"):
            grey(encoded(Image.new("RGB", (48, 48)), format))


def test_cut_off_pictures() -> None:
    for format in ("PNG", "JPEG", "GIF", "BMP", "TIFF", "WEBP"):
        data = encoded(face(0), format)
        with pytest.raises(RecordError):
            grey(data[: len(data) // 2])


def test_which_names_are_pictures() -> None:
    assert all(map(is_picture, ["a.jpg", "b/C.JPEG", "x.y.png", "z.TIF"]))
    assert not any(map(is_picture, ["a", "jpg", "a.txt", ".jpg", "a.jpg.part", "a.pdf"]))


def test_the_notes() -> None:
    done = Counter(resized=1200, squeezed=3, greyed=17, turned=1)
    assert describe(done, How(size=64)) == (
        "1,200 pictures of other sizes resized to 64×64 (3 of them not square: squeezed)",
        "17 pictures in colour made grey",
        "1 picture turned upright by their EXIF orientation",
    )


@pytest.mark.real
def test_malformed_pictures_decode_or_say_why(
    malformed: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    """Any other exception, any warning (an error here) and any noise of a C library fails this."""
    decoded, refused = 0, {}
    with zipfile.ZipFile(malformed) as archive:
        for info in archive.infolist():
            if info.is_dir():
                continue
            try:
                pixels, _ = decode(archive.read(info), info.filename)
            except RecordError as error:
                refused[Path(info.filename).name] = str(error)
            else:
                decoded += 1
                assert pixels.shape == (1, 48, 48)
                assert pixels.dtype == np.uint8
    assert decoded + len(refused) == 107
    assert decoded >= 70
    must = {"broken.png", "truncated_jpeg.jpg", "decompression_bomb.gif", "badwidth.bmp"}
    assert must <= refused.keys()
    assert all(m.startswith("malformed-images/") and "\n" not in m for m in refused.values())
    assert capfd.readouterr() == ("", "")


@pytest.mark.real
def test_the_hopper_stands_upright_in_every_orientation(malformed: Path) -> None:
    with zipfile.ZipFile(malformed) as archive:
        names = [n for n in archive.namelist() if "hopper_orientation_" in n and "jpg" in n]
        shown = [grey(archive.read(name)).astype(int) for name in names]
    assert len(shown) == 7
    assert max(np.abs(picture - shown[0]).mean() for picture in shown) < 3


def test_decoding_leaves_the_error_stream_alone(capfd: pytest.CaptureFixture[str]) -> None:
    import os

    grey(encoded(face(0), "TIFF", compression="tiff_lzw"))
    os.write(2, b"still here")
    assert capfd.readouterr().err == "still here"
    assert io.BytesIO(encoded(face(0))).read(4) == b"\x89PNG"


def test_threads_decode_side_by_side_and_leave_the_filters_of_warnings_alone() -> None:
    data = [encoded(face(n), format) for n in range(6) for format in ("PNG", "TIFF")]
    before = list(warnings.filters)

    def read(number: int) -> bool:
        kind = number % len(data)
        return bool((grey(data[kind]) == face(kind // 2)).all())

    with ThreadPoolExecutor(8) as pool:
        assert all(pool.map(read, range(400)))
    assert list(warnings.filters) == before


def test_large_pictures_wait_for_each_other_and_small_ones_do_not(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    place = Place()
    load = BmpImagePlugin.BmpImageFile.load

    def slow(image: Any) -> Any:
        if image.tile:  # not decoded before
            place.stay(0.01)
        return load(image)

    data = encoded(face(0), "BMP")
    monkeypatch.setattr(BmpImagePlugin.BmpImageFile, "load", slow)
    for large, together in ((10**9, True), (1, False)):
        monkeypatch.setattr(pictures, "_LARGE", large)
        place.most = 0
        with ThreadPoolExecutor(4) as pool:
            list(pool.map(lambda _: grey(data), range(12)))
        assert (place.most > 1) is together
