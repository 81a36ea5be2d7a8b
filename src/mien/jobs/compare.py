"""The verb ``compare``: two models on the same pictures, from their saved predictions."""

from pathlib import Path

from mien.evaluate.compare import Comparison
from mien.evaluate.compare import compare as compare_outputs
from mien.evaluate.compare_classes import ClassComparison
from mien.evaluate.compare_classes import compare_classes as compare_class_outputs
from mien.jobs.recompute import recompute


def compare(a: Path | str, b: Path | str) -> Comparison:
    """Compare two run folders or ``predictions.parquet`` files.

    Raises:
        MienError: predictions are missing, or not about the same images.
    """
    return compare_outputs(recompute(a).outputs, recompute(b).outputs)


def compare_classes(a: Path | str, b: Path | str) -> ClassComparison:
    """The same class by class.

    Raises:
        MienError: predictions are missing, or not about the same images.
    """
    return compare_class_outputs(recompute(a).outputs, recompute(b).outputs)
