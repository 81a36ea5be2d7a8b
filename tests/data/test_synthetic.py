"""The procedural faces: repeatable, balanced, moved by their action units, labelled by one region.

Statistical tests have a fixed seed and margins of four standard errors or more.
"""

import cv2
import numpy as np
import pytest
from sklearn.feature_selection import f_classif
from sklearn.linear_model import RidgeClassifier
from sklearn.svm import SVC

from mien.data import synthetic
from mien.data.faces.action_units import REGION_CODES, VARIANTS
from mien.data.faces.chance import grain, uniforms
from mien.data.synthetic import ACTION_UNITS, BLOCK, NUMBERS, REGIONS, draw, generate
from mien.errors import OptionError
from mien.labels import CLASSES

CHANCE = 1 / len(CLASSES)


def test_generate_shapes_and_types():
    faces = generate(10, seed=3, masks=True)
    assert len(faces) == 10
    assert faces.images.shape == (10, 1, 48, 48)
    assert faces.images.dtype == np.uint8
    assert faces.labels.shape == (10,)
    assert faces.labels.dtype == np.int64
    assert faces.action_units.shape == (10, len(NUMBERS))
    assert faces.action_units.dtype == np.float32
    assert faces.masks is not None
    assert faces.masks.shape == (10, len(REGIONS), 48, 48)
    assert faces.masks.dtype == np.bool_


def test_no_masks_unless_asked_for_and_the_same_pictures_either_way():
    plain, masked = generate(20, seed=4), generate(20, seed=4, masks=True)
    assert plain.masks is None
    np.testing.assert_array_equal(plain.images, masked.images)


def test_no_faces():
    assert generate(0, masks=True).images.shape == (0, 1, 48, 48)


@pytest.mark.parametrize("region", [None, "mouth"])
def test_a_few_are_the_first_of_many(region):
    few = generate(10, seed=1, region=region, masks=True)
    many = generate(BLOCK + 30, seed=1, region=region, masks=True)
    for name in ("images", "labels", "action_units", "masks"):
        np.testing.assert_array_equal(getattr(few, name), getattr(many, name)[:10])


def test_the_same_seed_gives_the_same_faces_whatever_the_threads():
    before = cv2.getNumThreads()
    try:
        cv2.setNumThreads(1)
        one = generate(BLOCK + 5, seed=8)
        cv2.setNumThreads(2)
        two = generate(BLOCK + 5, seed=8)
    finally:
        cv2.setNumThreads(before)
    np.testing.assert_array_equal(one.images, two.images)
    np.testing.assert_array_equal(one.labels, two.labels)


def test_generate_leaves_numpys_global_random_state_alone():
    np.random.seed(5)
    expected = np.random.random()
    np.random.seed(5)
    generate(3)
    assert np.random.random() == expected


def test_other_seeds_and_places_give_other_faces():
    faces = generate(2 * BLOCK, seed=0)
    assert len(np.unique(faces.images.reshape(len(faces), -1), axis=0)) == len(faces)
    other = generate(BLOCK, seed=1)
    assert not (faces.images[:BLOCK] == other.images).all(axis=(1, 2, 3)).any()
    assert not np.array_equal(faces.labels[:BLOCK], other.labels)


def test_classes_are_balanced_and_shuffled():
    labels = generate(3 * BLOCK, seed=2, size=24).labels
    np.testing.assert_array_equal(np.bincount(labels), [3 * BLOCK // 7] * 7)
    same_as_next = float((labels[1:] == labels[:-1]).mean())
    assert abs(same_as_next - CHANCE) < 4 * np.sqrt(CHANCE * (1 - CHANCE) / len(labels))


def test_progress_is_told_up_to_the_end():
    told: list[tuple[str, int, int]] = []
    generate(BLOCK + 1, size=24, progress=lambda *step: told.append(step))
    assert told == [("drawing faces", BLOCK, BLOCK + 1), ("drawing faces", BLOCK + 1, BLOCK + 1)]


@pytest.mark.parametrize("options", [{"region": "ear"}, {"seed": -1}, {"size": 8}, {"size": 999}])
def test_bad_options_are_refused(options):
    with pytest.raises(OptionError, match=r"choose|use"):
        generate(1, **options)
    with pytest.raises(OptionError, match="ask for 0 or more"):
        generate(-1)


@pytest.mark.parametrize("bad", [np.zeros((2, 3)), np.zeros(len(NUMBERS)),
                                 np.full((1, len(NUMBERS)), 1.5),
                                 np.full((1, len(NUMBERS)), np.nan)])  # fmt: skip
def test_bad_intensities_are_refused(bad):
    with pytest.raises(OptionError):
        draw(bad)


# --- the tables -------------------------------------------------------------------------------


def test_tables_name_known_action_units_and_every_class():
    assert tuple(VARIANTS) == CLASSES
    for variants in VARIANTS.values():
        for variant in variants:
            assert set(variant.core) | set(variant.extra) <= set(ACTION_UNITS)
            assert not set(variant.core) & set(variant.extra)


@pytest.mark.parametrize("region", REGIONS)
def test_a_regions_code_uses_its_own_units_and_tells_all_classes_apart(region):
    code = REGION_CODES[region]
    assert set(code) == set(CLASSES)
    assert len({frozenset(pattern.items()) for pattern in code.values()}) == len(CLASSES)
    for pattern in code.values():
        assert {ACTION_UNITS[number][1] for number in pattern} <= {region}


@pytest.mark.parametrize(
    ("name", "shown"),
    [("happy", {12}), ("surprise", {1, 2}), ("sad", {1, 4, 15}), ("disgust", {9}),
     ("fear", {1, 4, 5, 20}), ("angry", {4}), ("neutral", set())],
)  # fmt: skip
def test_the_core_of_an_expression_is_always_there(name, shown):
    faces = generate(2 * BLOCK, seed=6, size=24)
    mine = faces.action_units[faces.labels == CLASSES.index(name)]
    always = {number for j, number in enumerate(NUMBERS) if (mine[:, j] > 0.05).all()}
    assert always == shown
    assert mine.max() <= 1


# --- geometry ---------------------------------------------------------------------------------


def _pair(pulls: dict[int, float], n: int = 60):
    """The same people, at rest and with ``pulls``; large, to measure."""
    rest = np.zeros((n, len(NUMBERS)))
    moved = rest.copy()
    for number, amount in pulls.items():
        moved[:, NUMBERS.index(number)] = amount
    return (draw(a, seed=21, masks=True, size=128) for a in (rest, moved))


def _rows(mask):
    return np.nonzero(mask)[0]


def _corner_row(mask):
    """Mean row of the outermost columns of a mask, less that of its middle ones."""
    rows, columns = np.nonzero(mask)
    low, high = columns.min(), columns.max()
    edge = (columns <= low + 2) | (columns >= high - 2)
    return rows[edge].mean() - rows[np.abs(columns - (low + high) / 2) < 3].mean()


MEASURES = {
    "corners": _corner_row,
    "row": lambda mask: _rows(mask).mean(),
    "height": lambda mask: mask.sum() / mask.any(axis=0).sum(),
    "width": lambda mask: mask.any(axis=0).sum(),
    "area": lambda mask: mask.sum(),
}


@pytest.mark.parametrize(
    ("pulls", "region", "measure", "sign"),
    [
        ({12: 1.0}, "mouth", "corners", -1),  # up is towards row 0
        ({15: 1.0}, "mouth", "corners", 1),
        ({12: 1.0}, "mouth", "width", 1),
        ({20: 1.0}, "mouth", "width", 1),
        ({26: 1.0}, "mouth", "height", 1),
        ({27: 1.0}, "mouth", "height", 1),
        ({24: 1.0}, "mouth", "height", -1),
        ({1: 1.0, 2: 1.0}, "brows", "row", -1),
        ({1: 1.0}, "brows", "row", -1),
        ({2: 1.0}, "brows", "row", -1),
        ({4: 1.0}, "brows", "row", 1),
        ({5: 1.0}, "eyes", "area", 1),
        ({7: 1.0}, "eyes", "area", -1),
        ({6: 1.0}, "eyes", "area", -1),
        ({38: 1.0}, "nose", "area", 1),
        ({39: 1.0}, "nose", "area", -1),
        ({9: 1.0}, "nose", "row", -1),
    ],
)
def test_action_units_move_what_they_should(pulls, region, measure, sign):
    rest, moved = _pair(pulls)
    of, r = MEASURES[measure], REGIONS.index(region)
    change = np.array([
        of(b[r]) - of(a[r]) for a, b in zip(rest.masks, moved.masks, strict=True)
    ])  # fmt: skip
    assert (sign * change > 0).mean() > 0.95


@pytest.mark.parametrize("number", NUMBERS)
def test_every_action_unit_shows(number):
    rest, moved = _pair({number: 1.0}, n=12)
    home = REGIONS.index(ACTION_UNITS[number][1])
    where = rest.masks[:, home] | moved.masks[:, home]
    change = np.abs(rest.images[:, 0].astype(int) - moved.images[:, 0])
    strongest = [face[inside].max() for face, inside in zip(change, where, strict=True)]
    assert np.median(strongest) >= 8


# --- masks ------------------------------------------------------------------------------------


@pytest.mark.parametrize("size", [48, 96])
def test_masks_are_there_disjoint_and_in_their_places(size):
    faces = generate(2 * BLOCK, seed=11, masks=True, size=size)
    masks = faces.masks
    assert masks.sum(axis=1).max() == 1
    assert (masks.sum(axis=(2, 3)) >= 8 * (size / 48) ** 2).all()
    border = np.ones((size, size), dtype=bool)
    border[1:-1, 1:-1] = False
    assert not masks[..., border].any()
    rows = (masks * np.arange(size)[:, None]).sum(axis=(2, 3)) / masks.sum(axis=(2, 3))
    brows, eyes, nose, mouth = rows.T
    assert (brows < eyes).all()
    assert (eyes < nose).all()
    assert (nose < mouth).all()


def test_masks_lie_on_what_they_name():
    faces = generate(BLOCK, seed=12, masks=True)
    picture = faces.images[:, 0].astype(float)
    ring = np.stack([
        cv2.dilate(m.astype(np.uint8), np.ones((5, 5), np.uint8)) for m in faces.masks[:, 0]
    ]).astype(bool) & ~faces.masks.any(axis=1)  # fmt: skip
    inside = np.array([p[m].mean() for p, m in zip(picture, faces.masks[:, 0], strict=True)])
    around = np.array([p[m].mean() for p, m in zip(picture, ring, strict=True)])
    assert (inside < around).mean() > 0.95  # brows are darker than the skin about them


# --- what the label is in ---------------------------------------------------------------------


def _standard(pictures):
    flat = pictures.reshape(len(pictures), -1).astype(np.float32)
    return (flat - flat.mean(1, keepdims=True)) / (flat.std(1, keepdims=True) + 2)


def _near(masks, reach):
    kernel = np.ones((2 * reach + 1, 2 * reach + 1), np.uint8)
    return np.stack([cv2.dilate(m.astype(np.uint8), kernel) for m in masks]).astype(bool)


def _margin(n):
    return 4 * np.sqrt(CHANCE * (1 - CHANCE) / n)


@pytest.mark.parametrize("region", REGIONS)
def test_another_label_changes_nothing_outside_the_region(region, monkeypatch):
    own = generate(BLOCK, seed=13, region=region, masks=True)
    before = synthetic._shuffled
    monkeypatch.setattr(synthetic, "_shuffled", lambda key: (before(key) + 1) % len(CLASSES))
    other = generate(BLOCK, seed=13, region=region, masks=True)
    changed = (own.images != other.images)[:, 0]
    r = REGIONS.index(region)
    near = _near(own.masks[:, r] | other.masks[:, r], 4)  # blur and the edges of lines reach out
    assert changed.any(axis=(1, 2)).all()
    assert not (changed & ~near).any()


@pytest.mark.parametrize("region", REGIONS)
def test_the_region_alone_tells_the_label(region):
    n, k = 8 * BLOCK, 5 * BLOCK
    faces = generate(n, seed=14, region=region, masks=True)
    r = REGIONS.index(region)
    box = {"brows": (34, 16), "eyes": (32, 14), "nose": (16, 20), "mouth": (28, 22)}[region]
    crops = []
    for picture, mask in zip(faces.images[:, 0], faces.masks[:, r], strict=True):
        rows, columns = np.nonzero(mask)
        centre = (float(columns.mean()), float(rows.mean()))
        crops.append(cv2.getRectSubPix(picture.astype(np.float32), box, centre))
    crops = _standard(np.stack(crops))
    y = faces.labels
    assert SVC(C=4).fit(crops[:k], y[:k]).score(crops[k:], y[k:]) > 0.5

    outside = ~_near([faces.masks[:, r].any(axis=0)], 4)[0]
    rest = _standard(faces.images[:, 0][:, outside])
    for model in (RidgeClassifier(alpha=300), SVC(C=4)):
        assert abs(model.fit(rest[:k], y[:k]).score(rest[k:], y[k:]) - CHANCE) < _margin(n - k)


@pytest.mark.parametrize("region", [None, "eyes"])
def test_light_hair_and_background_do_not_tell_the_label(region):
    faces = generate(8 * BLOCK, seed=15, region=region)
    picture = faces.images[:, 0].astype(float)
    corners = [
        picture[:, rows, columns].mean(axis=(1, 2))
        for rows in (slice(0, 5), slice(43, 48))
        for columns in (slice(0, 5), slice(43, 48))
    ]
    edges = np.stack([*corners, picture[:, :4].std(axis=(1, 2))], axis=1)  # fmt: skip
    _, p = f_classif(edges, faces.labels)
    assert p.min() > 0.01


def test_a_simple_classifier_learns_but_does_not_solve_it():
    n, k = 16 * BLOCK, 12 * BLOCK
    faces = generate(n, seed=16)
    pixels = _standard(faces.images)
    accuracy = RidgeClassifier(alpha=300).fit(pixels[:k], faces.labels[:k]).score(
        pixels[k:], faces.labels[k:]
    )  # fmt: skip
    assert 0.45 < accuracy < 0.95


# --- chance -----------------------------------------------------------------------------------


def test_random_numbers_are_the_known_ones():
    # PCG64's stream is fixed by NumPy; these were computed with NumPy 2.
    words = np.random.PCG64(np.random.SeedSequence((1, 2))).random_raw(2)
    np.testing.assert_array_equal(uniforms((1, 2), 1, 2)[0], [int(w) / 2**64 // 2**-53 * 2**-53
                                                              for w in words])  # fmt: skip


def test_grain_is_standard_and_a_prefix():
    many = grain((3,), (50, 48, 48))
    np.testing.assert_array_equal(grain((3,), (7, 48, 48)), many[:7])
    assert abs(float(many.mean())) < 4 / np.sqrt(many.size)
    assert abs(float(many.std()) - 1) < 0.01
