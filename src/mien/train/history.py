"""The history of a run: one row an epoch, as ``history.csv`` and TensorBoard events."""

import csv
import io
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import Any

from mien.errors import RunError
from mien.runs import write_atomic


@dataclass(frozen=True, kw_only=True)
class Row:
    """One epoch. Losses in nats; accuracies 0..1; ``epoch`` counts from 1.

    Training and validation loss and accuracy are measured alike: the averaged model in evaluation
    mode, no augmentation, plain cross-entropy; the training ones on a fixed part of the training
    images. ``running_loss`` is the mean of what was minimised (augmented, smoothed, dropout on).
    ``learning_rate`` is that of the epoch's last step; ``seconds`` is the whole epoch's time,
    ``images_per_second`` that of the training steps alone.
    """

    epoch: int
    train_loss: float
    train_accuracy: float
    validation_loss: float
    validation_accuracy: float
    running_loss: float
    learning_rate: float
    seconds: float
    images_per_second: float


def history_csv(rows: list[Row]) -> str:
    """The rows as the text of ``history.csv``."""
    text = io.StringIO()
    writer = csv.DictWriter(text, [field.name for field in fields(Row)], lineterminator="\n")
    writer.writeheader()
    for row in rows:
        values = asdict(row)
        writer.writerow({k: v if isinstance(v, int) else f"{v:.6g}" for k, v in values.items()})
    return text.getvalue()


def read_history(path: Path) -> list[Row]:
    """The rows of a ``history.csv``.

    Raises:
        RunError: missing, or not written by mien.
    """
    try:
        with path.open(encoding="utf-8", newline="") as file:
            found = list(csv.DictReader(file))
        numbers = [f.name for f in fields(Row) if f.name != "epoch"]
        return [
            Row(epoch=int(row["epoch"]), **{name: float(row[name]) for name in numbers})
            for row in found
        ]
    except (OSError, KeyError, TypeError, ValueError) as error:
        raise RunError(f"{path}: no history of a run ({error})") from error


class HistoryWriter:
    """Keeps the rows and writes both forms as they come."""

    def __init__(self, path: Path, rows: list[Row]) -> None:
        from tensorboardX import SummaryWriter

        self.path = path
        self.rows = list(rows)
        # On resuming, TensorBoard is told to drop what an interrupted epoch had written.
        self._events: Any = SummaryWriter(
            str(path.parent / "tensorboard"), purge_step=len(rows) + 1, flush_secs=10
        )
        write_atomic(path, history_csv(self.rows))

    def add(self, row: Row) -> None:
        """Append an epoch."""
        self.rows.append(row)
        write_atomic(self.path, history_csv(self.rows))
        for kind in ("loss", "accuracy"):
            pair = {part: getattr(row, f"{part}_{kind}") for part in ("train", "validation")}
            for part, value in pair.items():
                self._events.add_scalar(f"{kind}/{part}", value, row.epoch)
        self._events.add_scalar("learning_rate", row.learning_rate, row.epoch)
        self._events.add_scalar("images_per_second", row.images_per_second, row.epoch)
        self._events.flush()

    def close(self) -> None:
        """Finish the event file."""
        self._events.close()
