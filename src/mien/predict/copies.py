"""The folder of marked copies: where each file's copy lies, and which files there are mien's own.

``copies.jsonl`` in that folder names each copy and what it was made of, before it is written; what
lies there and is not named is somebody else's and is never written over. One process at a time.
"""

import hashlib
import os
from pathlib import Path
from types import TracebackType

from mien.errors import OptionError, printable
from mien.predict.batch import Item
from mien.predict.record import Record

COPIES = "copies.jsonl"
_PICTURES = (".jpg", ".jpeg", ".png")
_LONGEST = 255  # bytes of a name, on the file systems that there are


class Copies:
    """Use it in a ``with`` block.

    folder: must be there. clips: the ending of clips' copies.

    Raises:
        RunError: the folder cannot be written to, its log is no log of mien's, or another process
            is marking copies there.
    """

    def __init__(self, folder: Path, clips: str) -> None:
        self.folder, self._clips = folder, clips
        self._record = Record(folder / COPIES, {"of": "copies"})

    def place(self, item: Item) -> Path:
        """Where an item's copy goes: under its own name, with an ending that can be written.

        Raises:
            OptionError: the item itself lies there.
        """
        endings, name = (self._clips,) if item.clip else _PICTURES, item.name
        if not name.lower().endswith(endings):
            name += endings[0]
            # Beside ``a.bmp`` may lie an ``a.bmp.jpg``, whose copy that would be.
            source = item.path + endings[0]
            while os.path.lexists(source):
                name, source = name + endings[0], source + endings[0]
        place = self.folder / _fitting(name)
        if place.exists() and place.samefile(item.path):
            raise OptionError(
                f"--annotate {self.folder}: {printable(item.path)} lies there itself; name another"
            )
        return place

    def check(self, item: Item) -> None:
        """Refuse to write an item's copy over what is not mien's.

        Raises:
            OptionError: something that no log names lies there.
        """
        place = self.place(item)
        if place.exists() and self._record.entry(self._key(place)) is None:
            raise OptionError(
                f"--annotate: {printable(str(place))} is there already, and {COPIES} does not say "
                "that mien made it; name another folder"
            )

    def is_of(self, place: Path, key: int) -> bool:
        """Whether the copy at ``place`` is there and was made of the file that ``key`` stands for.

        Another file of the same name may have been marked there since.
        """
        entry = self._record.entry(self._key(place))
        return entry is not None and entry.get("source") == f"{key:016x}" and place.exists()

    def begin(self, place: Path, key: int) -> None:
        """Say, before it is written, that the file at ``place`` is mien's, made of ``key``."""
        name = str(place.relative_to(self.folder))
        self._record.add(self._key(place), {"copy": name, "source": f"{key:016x}"})

    def _key(self, place: Path) -> int:
        name = os.fsencode(place.relative_to(self.folder))
        return int.from_bytes(hashlib.blake2b(name, digest_size=8).digest(), "big")

    def __enter__(self) -> "Copies":
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._record.__exit__(kind, error, trace)


def _fitting(name: str) -> str:
    """The name, its last part cut where it would be longer than a file's name may be."""
    path = Path(name)
    whole = os.fsencode(path.name)
    if len(whole) <= _LONGEST:
        return name
    mark = "." + hashlib.blake2b(whole, digest_size=4).hexdigest() + path.suffix
    stem = whole[: _LONGEST - len(os.fsencode(mark))].decode(errors="ignore")
    return str(path.with_name(stem + mark))
