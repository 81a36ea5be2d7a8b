"""The running sums of maps by class, small enough to save often; no map of every picture is kept.

N images, K classes, H W image. A tally knows where it stands, so that work on many images can be
interrupted and taken up again with the same result.
"""

import io
import zipfile
from dataclasses import dataclass, fields
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from mien.runs import write_atomic

RIGHT, WRONG = 0, 1


@dataclass(kw_only=True, eq=False)
class Tally:
    """Sums over the images counted so far. The first index 2 is ``RIGHT`` or ``WRONG``.

    done: images counted; below 0 while some are being counted. counts: int64 2×K, by label.
    sums, sizes: float64 2×K×H×W, of maps and of their absolute values. faces: float64 K×H×W, of
    pictures. best: float64 2×K, the probability of the most confident answer, -1 before any; rows:
    int64 2×K, its row; maps: float32 2×K×H×W, its map; logits: float32 2×K×K. residual, whole:
    float32 N, of methods that promise completeness, nan before.
    """

    done: int
    counts: NDArray[np.int64]
    sums: NDArray[np.float64]
    sizes: NDArray[np.float64]
    faces: NDArray[np.float64]
    best: NDArray[np.float64]
    rows: NDArray[np.int64]
    maps: NDArray[np.float32]
    logits: NDArray[np.float32]
    residual: NDArray[np.float32]
    whole: NDArray[np.float32]

    @classmethod
    def empty(cls, N: int, K: int, H: int, W: int) -> "Tally":
        """Nothing counted yet."""
        return cls(
            done=0,
            counts=np.zeros((2, K), np.int64),
            sums=np.zeros((2, K, H, W)),
            sizes=np.zeros((2, K, H, W)),
            faces=np.zeros((K, H, W)),
            best=np.full((2, K), -1.0),
            rows=np.full((2, K), -1, np.int64),
            maps=np.zeros((2, K, H, W), np.float32),
            logits=np.zeros((2, K, K), np.float32),
            residual=np.full(N, np.nan, np.float32),
            whole=np.full(N, np.nan, np.float32),
        )

    def add(
        self,
        rows: NDArray[np.int64],
        labels: NDArray[np.int64],
        images: NDArray[np.uint8],
        maps: NDArray[np.float32],
        logits: NDArray[np.float32],
        sure: NDArray[np.float64],
    ) -> None:
        """Count labelled images. rows: of the source; sure: N, the answer's probability."""
        # Whoever is interrupted in here must not save: below 0 says that it is half counted.
        before, self.done = self.done, -1
        predicted = logits.argmax(axis=1)
        greys = images.mean(axis=1, dtype=np.float64)
        for n, (label, answer) in enumerate(zip(labels.tolist(), predicted.tolist(), strict=True)):
            kind = RIGHT if label == answer else WRONG
            self.counts[kind, label] += 1
            self.sums[kind, label] += maps[n]
            self.sizes[kind, label] += np.abs(maps[n])
            self.faces[label] += greys[n]
            if sure[n] > self.best[kind, label]:  # of equals the first, so that batches do not tell
                self.best[kind, label], self.rows[kind, label] = sure[n], rows[n]
                self.maps[kind, label], self.logits[kind, label] = maps[n], logits[n]
        self.done = before + len(labels)

    def save(self, path: Path, key: str) -> None:
        """Write atomically. key: of what was asked for."""
        content = io.BytesIO()
        np.savez(
            content, key=np.array(key), **{f.name: getattr(self, f.name) for f in fields(self)}
        )
        write_atomic(path, content.getvalue())

    @classmethod
    def load(cls, path: Path, key: str) -> "Tally | None":
        """What was saved for the same ``key``; None where there is none, or it is damaged."""
        try:
            with np.load(io.BytesIO(path.read_bytes()), allow_pickle=False) as saved:
                if str(saved["key"]) != key:
                    return None
                values = {f.name: saved[f.name] for f in fields(cls)}
        except (OSError, ValueError, KeyError, EOFError, zipfile.BadZipFile):
            return None
        return cls(**{**values, "done": int(values["done"])})
