"""What ``mien predict`` shows of what it found: a table for people, or JSON as it comes."""

import json
import sys
from collections.abc import Callable, Mapping
from typing import Any

from mien.app import console
from mien.errors import printable
from mien.jobs.predict import Predicted, PredictOptions
from mien.labels import display_name
from mien.predict.faces import Finer
from mien.predict.table import second_of
from mien.system import mute

_SHOWN = 200


class Json:
    """An array on stdout, an object a file; written as they come.

    kept: results are kept elsewhere too, which shall not suffer where stdout's reader has gone.
    """

    def __init__(self, *, kept: bool = False) -> None:
        self._count, self._kept = 0, kept

    def tell(self, entry: Mapping[str, Any]) -> None:
        """One file."""
        hidden = {"key", "frames_from", "drawn", "again"}
        plain = {name: value for name, value in entry.items() if name not in hidden}
        self._write("[\n" if not self._count else ",\n")
        self._write(json.dumps(plain, ensure_ascii=False))
        self._count += 1

    def end(self) -> None:
        """Close the array."""
        self._write("\n]\n" if self._count else "[]\n")

    def _write(self, text: str) -> None:
        try:
            sys.stdout.write(text)
        except BrokenPipeError:
            if not self._kept:
                raise
            mute(sys.stdout)


class Table:
    """A row a face, for people; the first of many.

    finer: tells by a picture's height and width whether a finer search of it may find more.
    """

    def __init__(
        self, language: str, finer: Callable[[int, int], Finer | None] | None = None
    ) -> None:
        self._language, self._rows, self._more = language, 0, 0
        self._finer = finer
        self._without: list[Finer] = []  # of files in which no face was found
        self._table = console.PlainTable(
            "", "file", "face", "answer", "confidence", "second", "seen"
        )
        # In a narrow terminal a name takes several lines, and the answers stay whole.
        self._table.columns[0].no_wrap, self._table.columns[0].overflow = False, "fold"

    def tell(self, entry: Mapping[str, Any]) -> None:
        """One file."""
        if "problem" in entry:
            return
        name = printable(entry["file"])
        read = entry.get("clip", entry)
        faces = read["faces"]
        if not faces:
            self._row(name, "", self._name("no face"), "", "", "")
            more = self._finer and self._finer(read["height"], read["width"])
            self._without += [more] if more else []
        for number, face in enumerate(faces, 1):
            if "clip" in entry:
                self._clip_face(name if number == 1 else "", face)
            else:
                self._face(name if number == 1 else "", number, face)

    def _face(self, name: str, number: int, face: Mapping[str, Any]) -> None:
        second = _second(face["probabilities"], self._language)
        where = f"{face['box']['width']:.0f} px" if face["box"] else ""
        answer = face["answer"]
        if face["unsure"] and not face["not_a_face"]:
            answer = f"{self._name('unsure')} ({self._name(face['label'])})"
        self._row(name, str(number), self._name(answer), f"{100 * face['confidence']:.0f} %",
                  second, where)  # fmt: skip

    def _clip_face(self, name: str, face: Mapping[str, Any]) -> None:
        ranked = list(face["answers"].items())
        answer, share = ranked[0]
        second = f"{self._name(ranked[1][0])} {100 * ranked[1][1]:.0f} %" if ranked[1:] else ""
        self._row(name, f"id {face['id']}", self._name(answer), f"{100 * share:.0f} % of frames",
                  second, f"{face['first']:.1f}–{face['last']:.1f} s")  # fmt: skip

    def _name(self, name: str) -> str:
        return display_name(name, self._language)

    def _row(self, *cells: str) -> None:
        if self._rows < _SHOWN:
            self._table.row(*cells)
            self._rows += 1
        else:
            self._more += 1

    def end(self) -> None:
        """Show the table."""
        if self._rows:
            console.show(self._table)
        if self._more:
            console.show(f"… and {self._more:,} more; --csv FILE has all of them")
        if self._without:
            factors = sorted({f"{100 * one.factor:.0f}" for one in self._without}, key=float)
            shown = factors[0] if len(factors) == 1 else f"{factors[0]} to {factors[-1]}"
            many, size = len(self._without), self._without[0].size
            those = "one file" if many == 1 else f"{many:,} files"
            console.say(f"no face in {those}, searched at {shown} % of full size; --detector-size "
                        f"{size} finds smaller ones, and takes longer")  # fmt: skip


def _second(probabilities: Mapping[str, float], language: str) -> str:
    name, value = second_of(probabilities)
    return "" if name is None else f"{display_name(name, language)} {100 * (value or 0):.0f} %"


def report(done: Predicted, options: PredictOptions, json_out: bool) -> None:
    """What is to be said at the end: notes, files that were left out, how many, where to."""
    for note in done.notes:
        console.say(note)
    for problem in done.problems[:_SHOWN]:
        console.say(f"left out: {problem}")
    if done.skipped > _SHOWN:
        console.say(f"… and {done.skipped - _SHOWN:,} more were left out")
    if json_out:
        return
    if done.files > 1 or done.kept:
        before = f", {done.kept:,} of them before" if done.kept else ""
        read = done.files - done.skipped
        pictures = done.files - done.clips - done.skipped
        faces = f"{done.faces:,} face{'' if done.faces == 1 else 's'} in pictures"
        console.show(f"\n{read:,} file{'' if read == 1 else 's'} read{before}"
                     + (f"; {faces}" if pictures else ""))  # fmt: skip
    written = [str(path) for path in (*done.written, options.annotate) if path]
    if written:
        console.show(f"written: {', '.join(written)}")
