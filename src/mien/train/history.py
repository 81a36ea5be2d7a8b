"""The history of a run: one row an epoch, as ``history.csv`` and TensorBoard events."""

import csv
import io
import os
import socket
import struct
import time
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import Any

from mien.errors import RunError, said
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
    except (OSError, KeyError, TypeError, ValueError, csv.Error) as error:
        raise RunError(f"{path}: no history of a run ({said(error)})") from error


class HistoryWriter:
    """Keeps the rows and writes both forms as they come.

    TensorBoard's events are written here and not by a SummaryWriter, whose thread dies without a
    word on a full disk and leaves training waiting for it.

    Raises:
        OSError: something cannot be written.
    """

    def __init__(self, path: Path, rows: list[Row]) -> None:
        from tensorboardX.proto.event_pb2 import Event, SessionLog

        self.path = path
        self.rows = list(rows)
        folder = path.parent / "tensorboard"
        folder.mkdir(exist_ok=True)
        name = f"events.out.tfevents.{time.time():.0f}.{socket.gethostname()}.{os.getpid()}"
        self._events = folder / name
        # On resuming, TensorBoard is told to drop what an interrupted epoch had written.
        start = SessionLog(status=SessionLog.START)
        self._append(
            Event(file_version="brain.Event:2"), Event(step=len(rows) + 1, session_log=start)
        )
        write_atomic(path, history_csv(self.rows))

    def add(self, row: Row) -> None:
        """Append an epoch."""
        from tensorboardX.proto.event_pb2 import Event
        from tensorboardX.summary import scalar

        self.rows.append(row)
        write_atomic(self.path, history_csv(self.rows))
        values = {"learning_rate": row.learning_rate, "images_per_second": row.images_per_second}
        for kind in ("loss", "accuracy"):
            for part in ("train", "validation"):
                values[f"{kind}/{part}"] = getattr(row, f"{part}_{kind}")
        self._append(
            *(Event(step=row.epoch, summary=scalar(name, value)) for name, value in values.items())
        )

    def _append(self, *events: Any) -> None:
        """Add to the event file: length, its checksum, the event, its checksum (TFRecord)."""
        from tensorboardX.record_writer import masked_crc32c

        content = b""
        for event in events:
            event.wall_time = time.time()
            data = event.SerializeToString()
            length = struct.pack("<Q", len(data))
            content += length + struct.pack("<I", masked_crc32c(length))
            content += data + struct.pack("<I", masked_crc32c(data))
        with self._events.open("ab", buffering=0) as file:
            file.write(content)
