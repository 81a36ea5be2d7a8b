"""The gallery and the pictures' figure: what is in them, and whom they show."""

import re
from pathlib import Path

import numpy as np
import pytest
from matplotlib.image import AxesImage

from mien.app.figures import saliency as figure_of
from mien.app.figures import style
from mien.app.figures.saliency import DIVERGING, draw_gallery, draw_pictures
from mien.data.synthetic import generate
from mien.explain.display import colours, shared_limit
from mien.jobs.explain_pictures import Explained
from mien.jobs.saliency import Saliency
from mien.labels import CLASSES


@pytest.fixture
def kept(monkeypatch):
    """The figures that are drawn, before they are saved."""
    figures = []

    def new(width: float, height: float):
        figures.append(new_figure(width, height))
        return figures[-1]

    new_figure = style.new_figure
    monkeypatch.setattr(style, "new_figure", new)
    return figures


def images_of(figure) -> list[np.ndarray]:
    return [
        np.asarray(one.get_array())
        for axes in figure.axes
        for one in axes.get_children()
        if isinstance(one, AxesImage)
    ]


@pytest.fixture
def saliency(tmp_path) -> Saliency:
    """Every class answered rightly; wrongly all but neutral; disgust with too few faces."""
    rng, faces = np.random.default_rng(0), generate(13, seed=1)
    examples = [
        {"row": n, "id": str(n), "label": n // 2, "predicted": (n // 2 + n % 2) % 7,
         "probabilities": np.eye(7)[(n // 2 + n % 2) % 7].tolist(), "right": n % 2 == 0}
        for n in range(13)
    ]  # fmt: skip
    means = rng.normal(size=(2, 7, 48, 48)).astype(np.float32)
    means[1, 6] = np.nan
    mean_faces = rng.uniform(40, 200, (7, 48, 48)).astype(np.float32)
    mean_faces[1] = np.nan
    report = {
        "method": "layercam", "title": "LayerCAM", "layer": "features.2", "target": None,
        "against": None, "split": "validation", "n": 3589, "classes": list(CLASSES),
        "model": "cnn4 of /a/very/long/path/to/a/folder/of/runs/that/goes/on/cnn4-1",
        "examples": examples, "counts": {"right": [1200] * 7, "wrong": [31] * 6 + [0]},
    }  # fmt: skip
    return Saliency(
        folder=tmp_path, report=report, pictures=faces.images, drawn=False, notes=(),
        arrays={
            "maps": rng.normal(size=(13, 48, 48)).astype(np.float16),
            "scale": np.float32(0.01), "class_maps_right": means[0], "class_maps_wrong": means[1],
            "mean_faces": mean_faces,
        },
    )  # fmt: skip


def test_means_show_no_picture_of_a_person(saliency, kept, tmp_path):
    svg, png = draw_gallery(saliency, tmp_path / "gallery", examples=False)
    assert png.is_file()
    shown = images_of(kept[0])
    assert len(shown) == 2 * 7 * 3 - 3 - 2 * 2 + 1  # nothing of neutral, two faces of disgust, bar
    for picture in saliency.pictures:
        assert not any(one.shape == (48, 48) and np.array_equal(one, picture[0]) for one in shown)
    text = re.sub(r"<[^>]+>", " ", svg.read_text())
    for words in ("LayerCAM at features.2", "3,589 images of validation", "mean of 1,200",
                  "too few faces", "none", "for the class", "against the class",
                  "one scale for all maps"):  # fmt: skip
        assert words in text, words
    assert "…" in text
    assert "cnn4-1;" in text


def test_examples_share_one_scale(saliency, kept, tmp_path):
    svg, _ = draw_gallery(saliency, tmp_path / "gallery", examples=True)
    shown = images_of(kept[0])
    assert len(shown) == 13 * 3 + 1
    limit = shared_limit([saliency.arrays["maps"].astype(np.float32) * np.float32(0.01)])
    for n in range(13):
        face, values = shown[3 * n], shown[3 * n + 1]
        np.testing.assert_array_equal(face, saliency.pictures[n, 0])
        wanted = saliency.arrays["maps"][n].astype(np.float32) * np.float32(0.01) / limit
        np.testing.assert_allclose(values, np.clip(wanted, -1, 1), atol=1e-5)
    text = svg.read_text()
    assert "taken for disgust, &gt;99 %" in text
    assert "1,200 right, 31 wrong" in text


def test_the_bar_has_the_colours_of_the_overlays():
    values = np.linspace(-1, 1, 41)
    bar = np.rint(255 * DIVERGING((values + 1) / 2)[:, :3])
    assert np.abs(bar - colours(values)).max() <= 4


def test_a_figure_of_pictures(kept, tmp_path):
    faces = generate(14, seed=3)
    report = {
        "title": "occlusion", "layer": "", "model": "cnn4 of run", "classes": list(CLASSES),
        "against": "sad",
        "pictures": [
            {"file": f"f{n}.png", "predicted": 3, "target": 2,
             "probabilities": [0, 0, 0.1, 0.9, 0, 0, 0]}
            for n in range(14)
        ],
    }  # fmt: skip
    maps = np.random.default_rng(0).normal(size=(14, 48, 48)).astype(np.float32)
    explained = Explained(
        folder=Path(), report=report, overlays=(), images=faces.images, maps=maps, limit=2.0,
        problems=(), notes=(),
    )  # fmt: skip
    svg, _ = draw_pictures(explained, tmp_path / "explained")
    assert len(images_of(kept[0])) == 3 * figure_of._MOST + 1
    text = svg.read_text()
    assert "maps of fear against sad; 2 more pictures not shown" in text
    assert "happy 90 %" in text
    assert "Occlusion" in text
