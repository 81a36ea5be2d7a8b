"""How ``mien predict`` takes files: many pictures together, each clip alone."""

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from mien.predict.batch import Item
from mien.predict.record import key_of

_TOGETHER = 512  # pictures handed on at once, at most


@dataclass(frozen=True, slots=True)
class New:
    """A file to read."""

    item: Item
    key: int


@dataclass(frozen=True, slots=True)
class Scored:
    """A file whose answer the record has."""

    item: Item
    key: int


def runs(
    items: Iterable[Item], known: NDArray[np.uint64], drawn: Callable[[Item, int], bool]
) -> Iterator[Scored | New | list[New]]:
    """Items in order, in runs: what is scored already, a clip, or pictures to read together.

    known: keys in the record, ascending. drawn: whether all that is drawn of an item is there.
    """
    pictures: list[New] = []
    for item in items:
        key = key_of(item.path)
        at = int(np.searchsorted(known, np.uint64(key)))
        old = at < len(known) and int(known[at]) == key and drawn(item, key)
        if (old or item.clip or len(pictures) == _TOGETHER) and pictures:
            yield pictures
            pictures = []
        if old:
            yield Scored(item, key)
        elif item.clip:
            yield New(item, key)
        else:
            pictures.append(New(item, key))
    if pictures:
        yield pictures
