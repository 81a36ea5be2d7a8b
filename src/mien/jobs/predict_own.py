"""What an earlier call of ``mien predict`` wrote, where a shell's ``*`` names it too."""

import os
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from mien.errors import OptionError, printable
from mien.predict.batch import Item
from mien.predict.copies import COPIES
from mien.predict.record import NAME


@dataclass(frozen=True, kw_only=True)
class Own:
    """folders: mien's own, from before. files: where results go, by name, their real paths.

    there: whether a record says that an earlier call wrote them.
    """

    folders: frozenset[str]
    files: Mapping[str, frozenset[str]]
    there: bool

    @classmethod
    def of(
        cls, out: Path | None, annotate: Path | None, tables: Mapping[str, Path | None],
        record: Path | None,
    ) -> "Own":  # fmt: skip
        """Ask before anything is made or written."""
        known = ((out, NAME), (annotate, COPIES))
        folders = [folder for folder, log in known if folder and (folder / log).is_file()]
        files: dict[str, set[str]] = {}
        for file in (*tables.values(), record):
            if file:
                files.setdefault(file.name, set()).add(os.path.realpath(file))
        return cls(
            folders=frozenset(map(os.path.realpath, folders)),
            files={name: frozenset(places) for name, places in files.items()},
            there=record is not None and record.is_file(),
        )

    def without_folders(self, named: Sequence[str | Path]) -> Sequence[str | Path]:
        """What was named but for mien's own folders; all of it where nothing else was."""
        others = [one for one in named if os.path.realpath(one) not in self.folders]
        return others or named

    def others(self, items: Iterable[Item]) -> Iterator[Item]:
        """The items but for mien's own files.

        Raises:
            OptionError: a result would be written over an item that is somebody else's.
        """
        for item in items:
            places = self.files.get(Path(item.path).name)
            if places is None or os.path.realpath(item.path) not in places:
                yield item
            elif not self.there:
                raise OptionError(f"{printable(item.path)}: is to be read, and a result would be "
                                  "written over it; name another file for that")  # fmt: skip
