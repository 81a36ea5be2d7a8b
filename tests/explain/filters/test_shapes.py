import numpy as np
import pytest

from mien.explain.filters.shapes import bank, fit, surrogates


def grid(side):
    y, x = np.mgrid[:side, :side] - (side - 1) / 2
    return x, y


def gabor(side, x0, y0, angle, wavelength, across, along, phase):
    x, y = grid(side)
    x, y = x - x0, y - y0
    u, v = x * np.cos(angle) + y * np.sin(angle), y * np.cos(angle) - x * np.sin(angle)
    envelope = np.exp(-(u**2) / (2 * across**2) - v**2 / (2 * along**2))
    return envelope * np.cos(2 * np.pi * u / wavelength + phase)


def degrees_apart(a, b):
    return abs((np.degrees(a - b) + 90) % 180 - 90)


def test_gabors_are_found_again():
    rng = np.random.default_rng(0)
    pictures, truth = [], []
    for _ in range(12):
        angle, wave = rng.uniform(0, np.pi), rng.uniform(5, 14)
        across, along = rng.uniform(0.4, 0.7) * wave, rng.uniform(4, 8)
        x0, y0 = rng.uniform(-6, 6, 2)
        pictures.append(
            128 + 40 * gabor(31, x0, y0, angle, wave, across, along, rng.uniform(0, 6.3))
        )
        truth.append((x0, y0, angle, wave))
    found = fit(np.stack(pictures), "gabor")
    assert found.r2.min() > 0.999
    for k, (x0, y0, angle, wave) in enumerate(truth):
        assert degrees_apart(found.angle[k], angle) < 1
        assert found.wavelength[k] == pytest.approx(wave, rel=0.03)
        assert (found.x[k], found.y[k]) == pytest.approx((x0, y0), abs=0.3)
    np.testing.assert_allclose(found.shapes, np.stack(pictures), atol=3)


def test_bars_and_edges_are_found_again():
    x, y = grid(24)
    u, v = x * np.cos(0.6) + y * np.sin(0.6), y * np.cos(0.6) - x * np.sin(0.6)
    bar = -np.exp(-((u - 3) ** 2) / (2 * 1.4**2) - v**2 / (2 * 9**2))
    edge = np.tanh(u / 1.2) * np.exp(-(u**2 + v**2) / (2 * 12**2))
    step = np.where(x > 2.5, 200.0, 50.0)
    for family, picture, angle in (("bar", bar, 0.6), ("edge", edge, 0.6), ("edge", step, 0.0)):
        found = fit(picture[None], family)
        assert found.r2[0] > 0.98
        assert degrees_apart(found.angle[0], angle) < 3


def test_what_is_no_line_is_not_explained(part, faces):
    rng = np.random.default_rng(1)
    noise = rng.normal(size=(4, 16, 16))
    assert max(fit(noise, f).r2.max() for f in ("gabor", "bar", "edge")) < 0.25
    x, y = grid(20)
    rings = np.cos(np.hypot(x, y) * 1.2)[None]
    assert max(fit(rings, f).r2[0] for f in ("gabor", "bar", "edge")) < 0.5
    whole = faces[:3, 0, 4:44:2, 4:44:2].astype(float)
    assert max(fit(whole, f).r2.max() for f in ("gabor", "bar", "edge")) < 0.8


def test_r2_is_that_of_least_squares():
    """The reported share of variance is what the returned shape leaves, worked out apart."""
    rng = np.random.default_rng(2)
    pictures = rng.normal(size=(3, 20, 20)) + 3 * gabor(20, 1, 2, 0.3, 8, 4, 5, 1)
    found = fit(pictures, "gabor")
    left = ((pictures - found.shapes) ** 2).sum(axis=(1, 2))
    total = ((pictures - pictures.mean(axis=(1, 2), keepdims=True)) ** 2).sum(axis=(1, 2))
    np.testing.assert_allclose(found.r2, 1 - left / total, atol=1e-6)


def test_scale_brightness_and_size_do_not_matter():
    picture = gabor(90, 5, -8, 1.0, 24, 12, 15, 0.5)
    small, large = fit(picture[None], "gabor"), fit(7 + 30 * picture[None], "gabor")
    assert large.r2[0] == pytest.approx(small.r2[0], abs=1e-6)
    assert small.r2[0] > 0.99  # averaged down for the fit
    assert small.wavelength[0] == pytest.approx(24, rel=0.05)
    assert np.isnan(fit(np.full((1, 12, 12), 4.0), "bar").r2[0])


def test_surrogates_have_the_frequencies_but_not_the_line():
    picture = gabor(32, 0, 0, 0.7, 8, 5, 5, 0)[None]
    made = np.concatenate([surrogates(picture, seed=s) for s in range(24)])

    def radial(pictures):
        power = (np.abs(np.fft.fft2(pictures)) ** 2).mean(axis=0)
        ring = np.rint(np.hypot(np.fft.fftfreq(32)[:, None], np.fft.fftfreq(32)) * 32).astype(int)
        return np.bincount(ring.ravel(), power.ravel()) / power.sum()

    np.testing.assert_allclose(radial(made), radial(picture), atol=0.08)
    assert np.median(fit(made, "gabor").r2) < 0.6 < fit(picture, "gabor").r2[0]
    np.testing.assert_array_equal(surrogates(picture, seed=3), surrogates(picture, seed=3))


def test_the_bank_holds_lines_of_every_direction():
    shapes = bank(38, 38)
    assert shapes.shape == (912, 38, 38)
    np.testing.assert_allclose(np.abs(shapes).max(axis=(1, 2)), 1, atol=1e-6)
    assert len(np.unique(shapes.reshape(912, -1).round(4), axis=0)) > 850
