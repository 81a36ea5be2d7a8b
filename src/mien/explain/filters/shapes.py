"""How far a line explains a picture: least-squares fits of Gabors, bars and edges.

Each family is a picture made of few numbers (place, direction, widths), times weights that enter
linearly, plus a constant. The linear part is solved exactly; the rest starts from the best of a
bank and is refined by Levenberg-Marquardt, all pictures at once (variable projection: Golub and
Pereyra 1973). R² is the share of a picture's variance that the fit explains.

x to the right, y down, in pixels from the middle; u runs across the stripes, v along them:
u = x cos θ + y sin θ, v = -x sin θ + y cos θ, counted from the centre of the shape.

- gabor: exp(-u²/2σu² - v²/2σv²) times cos and sin of 2πu/λ
- bar: exp(-u²/2σu² - v²/2σv²), one stripe, light or dark
- edge: tanh(u/σu) exp(-(u² + v²)/2σv²), light on one side, dark on the other, fading with distance
"""

import math
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

FAMILIES = ("gabor", "bar", "edge")
_SIDE = 40  # pictures are averaged down to at most this before the fit
_STARTS = 2
_STEPS = 12
_X, _Y, _ANGLE, _ACROSS, _ALONG, _WAVE = range(6)


@dataclass(frozen=True, kw_only=True, eq=False)
class Fits:
    """The best shape of a family for each of P pictures.

    r2: float64 P, 0..1 (nan for a picture of one grey). x, y: pixels from the middle.
    angle: radians 0..π, direction across the stripes, from x towards y. across, along: σu, σv in
    pixels. wavelength: pixels, nan but for Gabors. shapes: float32 P×height×width, the fit.
    """

    family: str
    r2: NDArray[np.float64]
    x: NDArray[np.float64]
    y: NDArray[np.float64]
    angle: NDArray[np.float64]
    across: NDArray[np.float64]
    along: NDArray[np.float64]
    wavelength: NDArray[np.float64]
    shapes: NDArray[np.float32]


def fit(pictures: NDArray[np.floating], family: str) -> Fits:
    """Fit ``pictures`` (P×height×width, any scale) by one of ``FAMILIES``."""
    shape = pictures.shape[1:]
    factor = max(1, math.ceil(max(shape) / _SIDE))
    whole = torch.from_numpy(np.asarray(pictures, dtype=np.float64))
    small = torch.nn.functional.avg_pool2d(whole[:, None], factor, ceil_mode=True)[:, 0]
    y, x = _grid(tuple(small.shape[1:]), whole.dtype)
    flat = small.flatten(1)
    flat = flat - flat.mean(dim=1, keepdim=True)
    length = flat.norm(dim=1, keepdim=True)
    target = flat / length.clamp_min(1e-12)
    start = _starts(target, family, tuple(small.shape[1:]), x, y)
    P, S, Q = start.shape
    loss, found = _refine(target.repeat_interleave(S, dim=0), start.reshape(P * S, Q), family, x, y)
    best = loss.reshape(P, S).argmin(dim=1)
    rows = torch.arange(P)
    chosen = found.reshape(P, S, Q)[rows, best]
    r2 = 1 - loss.reshape(P, S)[rows, best]
    r2[length[:, 0] < 1e-9] = torch.nan
    return _report(family, r2.clamp(0, 1), chosen, factor, whole)


def surrogates(pictures: NDArray[np.floating], *, seed: int = 0) -> NDArray[np.float64]:
    """For each of P×height×width pictures a random one with its radial amplitude spectrum.

    It has as much of every frequency, averaged over directions, but random phases: what a fit
    explains of it, it explains of smoothness alone.
    """
    values = np.asarray(pictures, dtype=np.float64)
    values = values - values.mean(axis=(1, 2), keepdims=True)
    h, w = values.shape[1:]
    # A window keeps the jump between opposite borders out of the spectrum.
    taper = np.sqrt(np.hanning(h + 2)[1:-1, None] * np.hanning(w + 2)[None, 1:-1])
    power = np.abs(np.fft.fft2(values * taper)) ** 2
    radius = np.hypot(np.fft.fftfreq(h)[:, None] * max(h, w), np.fft.fftfreq(w) * max(h, w))
    ring = np.rint(radius).astype(np.int64)
    counts = np.bincount(ring.ravel())
    rng = np.random.default_rng(seed)
    made = np.empty_like(values)
    for p, one in enumerate(power):
        mean = np.bincount(ring.ravel(), one.ravel()) / np.maximum(counts, 1)
        noise = np.fft.fft2(rng.standard_normal((h, w)))
        made[p] = np.fft.ifft2(noise * np.sqrt(mean)[ring]).real
    return np.asarray(made - made.mean(axis=(1, 2), keepdims=True))


def bank(height: int, width: int) -> NDArray[np.float32]:
    """Gabors, bars and edges of many directions, widths and phases around the middle.

    float32 B×height×width, each between -1 and 1 with its extreme at ±1; B is 912. For
    fields of 8 pixels or more; the places differ by 4 pixels, so a grid whose units lie up to 8
    apart meets each shape nearly centred.
    """
    y, x = _grid((height, width), torch.float64)
    side = min(height, width)
    params, phases, families = [], [], []
    for angle in np.arange(12) * np.pi / 12:
        for wave in (side / 9, side / 6, side / 4, side / 2.7, side / 1.8, side / 1.2):
            for ratio in (0.35, 0.8):
                for phase in np.arange(4) * np.pi / 2:
                    along = max(1.0, ratio * wave)
                    params.append([0, 0, angle, along, along * 1.3, max(2.5, wave)])
                    phases.append(phase)
                    families.append("gabor")
        for thick in (1.0, side / 24, side / 12, side / 6):
            for long in (3.0, 12.0):
                for sign in (0.0, np.pi):
                    params.append([0, 0, angle, thick, long * thick, 4.0])
                    phases.append(sign)
                    families.append("bar")
        for soft in (0.7, side / 16):
            for far in (side / 8, side / 4, side):
                for sign in (0.0, np.pi):
                    params.append([0, 0, angle, soft, far, 4.0])
                    phases.append(sign)
                    families.append("edge")
    values, made = torch.tensor(params), []
    for family in FAMILIES:
        of = [k for k, name in enumerate(families) if name == family]
        p = values[of].double().clone()
        p[:, _ACROSS:] = p[:, _ACROSS:].log()
        basis = _basis(p[:, : _WAVE + (family == "gabor")], family, x, y)
        angle = torch.tensor([phases[k] for k in of], dtype=torch.float64)
        mixed = basis[:, 0] * angle.cos()[:, None]
        if family == "gabor":
            mixed = mixed + basis[:, 1] * angle.sin()[:, None]
        made.append(mixed / mixed.abs().amax(dim=1, keepdim=True).clamp_min(1e-9))
    return np.asarray(torch.cat(made).reshape(-1, height, width).float().numpy())


def _grid(shape: tuple[int, ...], dtype: torch.dtype) -> tuple[Tensor, Tensor]:
    rows = torch.arange(shape[0], dtype=dtype) - (shape[0] - 1) / 2
    columns = torch.arange(shape[1], dtype=dtype) - (shape[1] - 1) / 2
    y, x = torch.meshgrid(rows, columns, indexing="ij")
    return y.flatten(), x.flatten()


def _basis(p: Tensor, family: str, x: Tensor, y: Tensor) -> Tensor:
    """M×B×pixels of parameters M×5 (6 for Gabors): x, y, θ, log σu, log σv, log λ."""
    dx, dy = x - p[:, _X : _X + 1], y - p[:, _Y : _Y + 1]
    cos, sin = p[:, _ANGLE : _ANGLE + 1].cos(), p[:, _ANGLE : _ANGLE + 1].sin()
    u, v = dx * cos + dy * sin, dy * cos - dx * sin
    across, along = p[:, _ACROSS : _ACROSS + 1].exp(), p[:, _ALONG : _ALONG + 1].exp()
    if family == "edge":
        fading = torch.exp(-(u.square() + v.square()) / (2 * along.square()))
        return (torch.tanh(u / across) * fading)[:, None]
    envelope = torch.exp(-u.square() / (2 * across.square()) - v.square() / (2 * along.square()))
    if family == "bar":
        return envelope[:, None]
    phase = 2 * math.pi * u / p[:, _WAVE : _WAVE + 1].exp()
    return torch.stack([envelope * phase.cos(), envelope * phase.sin()], dim=1)


def _residual(p: Tensor, target: Tensor, family: str, x: Tensor, y: Tensor) -> Tensor:
    """What the best mixture of the basis leaves of the targets (M×pixels, of zero mean)."""
    basis = _basis(p, family, x, y)
    basis = basis - basis.mean(dim=2, keepdim=True)  # this solves the constant
    first = basis[:, 0]
    first = first / first.norm(dim=1, keepdim=True).clamp_min(1e-12)
    rest: Tensor = target - first * (first * target).sum(dim=1, keepdim=True)
    if basis.shape[1] == 2:
        second = basis[:, 1] - first * (first * basis[:, 1]).sum(dim=1, keepdim=True)
        # Where sine and cosine fall together the second adds nothing but rounding.
        length = second.norm(dim=1, keepdim=True)
        second = second / length.clamp_min(1e-6)
        rest = rest - second * (second * target).sum(dim=1, keepdim=True)
    return rest


def _starts(target: Tensor, family: str, shape: tuple[int, ...], x: Tensor, y: Tensor) -> Tensor:
    """P×starts×parameters: the best of the bank, of different directions or widths."""
    side = min(shape)
    angles = np.arange(8) * np.pi / 8
    if family == "gabor":
        widths = [
            (r * wave, r * wave, wave)
            for wave in (side / 7, side / 4, side / 2.5, side / 1.5, side * 1.0)
            for r in (0.3, 0.7)
        ]
    else:
        scales = (1.0, side / 16, side / 8, side / 4)
        spread = (1.0, 3.0, 10.0) if family == "bar" else (side / 8, side / 4, side)
        widths = [(s, k * s if family == "bar" else k, 0.0) for s in scales for k in spread]
    places = [(a * shape[1] / 6, b * shape[0] / 6) for a in range(-2, 3) for b in range(-2, 3)]
    kinds = [(angle, *width) for angle in angles for width in widths]
    atoms = torch.tensor(
        [
            [px, py, angle, *np.log(np.maximum(width, 0.8))][: 6 if family == "gabor" else 5]
            for angle, *width in kinds
            for px, py in places
        ],
        dtype=target.dtype,
    )
    score = _explained(atoms, target, family, x, y).reshape(len(target), len(kinds), len(places))
    best, place = score.max(dim=2)
    kind = best.topk(min(_STARTS, len(kinds)), dim=1).indices
    number = kind * len(places) + place.gather(1, kind)
    chosen: Tensor = atoms[number]
    return chosen


def _explained(atoms: Tensor, target: Tensor, family: str, x: Tensor, y: Tensor) -> Tensor:
    """P×atoms R² of unrefined atoms, in pieces; single precision is enough to choose by."""
    atoms, target, x, y = atoms.float(), target.float(), x.float(), y.float()
    found = []
    for part in torch.split(atoms, 256):
        basis = _basis(part, family, x, y)
        basis = basis - basis.mean(dim=2, keepdim=True)
        first = basis[:, 0] / basis[:, 0].norm(dim=1, keepdim=True).clamp_min(1e-12)
        r2 = (target @ first.T).square()
        if family == "gabor":
            second = basis[:, 1] - first * (first * basis[:, 1]).sum(dim=1, keepdim=True)
            second = second / second.norm(dim=1, keepdim=True).clamp_min(1e-6)
            r2 = r2 + (target @ second.T).square()
        found.append(r2)
    return torch.cat(found, dim=1)


def _refine(target: Tensor, p: Tensor, family: str, x: Tensor, y: Tensor) -> tuple[Tensor, Tensor]:
    """Levenberg-Marquardt on all rows; gives losses M (1 - R²) and parameters."""
    low, high = _bounds(x, y, p.shape[1])
    damping = torch.full((len(p), 1, 1), 1e-2, dtype=p.dtype)
    residual = _residual(p, target, family, x, y)
    loss = residual.square().sum(dim=1)
    for _ in range(_STEPS):
        columns = []
        for q in range(p.shape[1]):
            moved = p.clone()
            moved[:, q] += 1e-4
            columns.append((_residual(moved, target, family, x, y) - residual) / 1e-4)
        jacobian = torch.stack(columns, dim=2)
        normal = jacobian.transpose(1, 2) @ jacobian
        slope = jacobian.transpose(1, 2) @ residual[:, :, None]
        diagonal = torch.diag_embed(normal.diagonal(dim1=1, dim2=2) + 1e-9)
        step = torch.linalg.solve(normal + damping * diagonal, slope)[:, :, 0]
        tried = torch.clamp(p - step, low, high)
        new = _residual(tried, target, family, x, y)
        new_loss = new.square().sum(dim=1)
        better = new_loss < loss
        p = torch.where(better[:, None], tried, p)
        residual = torch.where(better[:, None], new, residual)
        loss = torch.where(better, new_loss, loss)
        damping = torch.where(better[:, None, None], damping / 4, damping * 8).clamp(1e-9, 1e6)
    return loss, p


def _bounds(x: Tensor, y: Tensor, count: int) -> tuple[Tensor, Tensor]:
    """A shape's centre lies in the picture; widths from half a pixel to four pictures."""
    width, height = float(x.max()) + 0.5, float(y.max()) + 0.5
    side = 2 * max(width, height)
    limits = [
        (-width, width), (-height, height), (-50.0, 50.0),
        (math.log(0.5), math.log(4 * side)), (math.log(0.5), math.log(4 * side)),
        (math.log(2.5), math.log(4 * side)),
    ]  # fmt: skip
    low, high = zip(*limits[:count], strict=True)
    return torch.tensor(low, dtype=x.dtype), torch.tensor(high, dtype=x.dtype)


def _report(family: str, r2: Tensor, p: Tensor, factor: int, whole: Tensor) -> Fits:
    scaled = p.clone()
    scaled[:, :2] *= factor
    scaled[:, _ACROSS:] += math.log(factor)
    y, x = _grid(tuple(whole.shape[1:]), whole.dtype)
    flat = whole.flatten(1)
    mean = flat.mean(dim=1, keepdim=True)
    shapes = flat - _residual(scaled, flat - mean, family, x, y)
    angle = scaled[:, _ANGLE].remainder(math.pi)
    wave = scaled[:, _WAVE].exp() if family == "gabor" else torch.full_like(angle, torch.nan)
    return Fits(
        family=family, r2=r2.numpy(), x=scaled[:, _X].numpy(), y=scaled[:, _Y].numpy(),
        angle=angle.numpy(), across=scaled[:, _ACROSS].exp().numpy(),
        along=scaled[:, _ALONG].exp().numpy(), wavelength=wave.numpy(),
        shapes=shapes.reshape(whole.shape).float().numpy(),
    )  # fmt: skip
