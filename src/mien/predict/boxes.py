"""Boxes of faces: moved, scaled, compared."""

from dataclasses import replace

from mien.types import Box


def overlap(a: Box, b: Box) -> float:
    """Intersection over union of two boxes as they stand, their angles aside; 0..1."""
    width = min(a.left + a.width, b.left + b.width) - max(a.left, b.left)
    height = min(a.top + a.height, b.top + b.height) - max(a.top, b.top)
    common = max(0.0, width) * max(0.0, height)
    union = a.width * a.height + b.width * b.height - common
    return common / union if union > 0 else 0.0


def scale_box(box: Box, factor: float) -> Box:
    """The same box in a picture that is ``factor`` times as large."""
    return replace(box, left=box.left * factor, top=box.top * factor, width=box.width * factor,
                   height=box.height * factor)  # fmt: skip


def moved(box: Box, dx: float, dy: float, scale: float) -> Box:
    """The middle shifted by pixels, the sides scaled about it."""
    width, height = box.width * scale, box.height * scale
    left = box.left + dx + (box.width - width) / 2
    top = box.top + dy + (box.height - height) / 2
    return replace(box, left=left, top=top, width=width, height=height)
