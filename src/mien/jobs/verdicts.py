"""The verdict of ``mien trust`` on a method, for whatever shows that method's maps."""

from typing import Any

from mien.errors import RunError
from mien.jobs.subject import Subject
from mien.models.confidence import read_confidence
from mien.runs import read_json


def verdict_on(subject: Subject, method: str) -> dict[str, Any] | None:
    """``{"verdict": code, "against": baselines}`` from the run's ``explain/trust.json``.

    None where the method was not tested on these very weights. Calibration seals a model file
    anew, which changes its checksum and not its weights: the checksum before counts as well.
    """
    if subject.home is None:
        return None
    try:
        told = read_json(subject.home / "explain" / "trust.json")
    except RunError:
        return None
    confidence = read_confidence(subject.model.about) if subject.model else None
    before = confidence.fitted_on.get("model_checksum") if confidence else None
    if told.get("model_checksum") not in {subject.checksum, before} - {None}:
        return None
    for one in told.get("methods", []):
        if one.get("method") == method and isinstance(one.get("verdict"), str):
            return {"verdict": one["verdict"], "against": list(one.get("against", []))}
    return None
