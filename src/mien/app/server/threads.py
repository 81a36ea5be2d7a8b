"""Results of other threads, brought to the event loop: those of a batch with one wake-up.

asyncio's own bridge writes to a pipe for every result, and each write hands the interpreter's lock
to and fro.
"""

import asyncio
from collections import deque
from concurrent.futures import Future
from typing import Any, TypeVar
from weakref import WeakKeyDictionary

T = TypeVar("T")
_Pair = tuple["asyncio.Future[Any]", "Future[Any]"]


class _Box:
    """Where threads leave results for a loop."""

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self._loop = loop
        self._left: deque[_Pair] = deque()
        self._called = False

    def put(self, wanted: "asyncio.Future[Any]", done: "Future[Any]") -> None:
        """Leave one; the loop is called unless it has been and has not come yet."""
        self._left.append((wanted, done))
        if not self._called:
            self._called = True
            if not self._loop.is_closed():
                self._loop.call_soon_threadsafe(self._empty)

    def _empty(self) -> None:
        self._called = False  # first: what is left from here on calls again
        while self._left:
            wanted, done = self._left.popleft()
            if wanted.done():  # nobody waits any more
                continue
            if done.cancelled():
                wanted.cancel()
            elif error := done.exception():
                wanted.set_exception(error)
            else:
                wanted.set_result(done.result())


_boxes: WeakKeyDictionary[asyncio.AbstractEventLoop, _Box] = WeakKeyDictionary()


async def awaited(future: "Future[T]") -> T:
    """The result of work in another thread."""
    loop = asyncio.get_running_loop()
    box = _boxes.get(loop)
    if box is None:
        box = _boxes[loop] = _Box(loop)
    wanted: asyncio.Future[T] = loop.create_future()
    future.add_done_callback(lambda done: box.put(wanted, done))
    return await wanted
