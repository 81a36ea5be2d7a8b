"""How many threads are in one place at once."""

import threading
import time


class Place:
    """most: the greatest number of threads that ever stayed in it together."""

    def __init__(self) -> None:
        self.most = 0
        self._inside = 0
        self._lock = threading.Lock()

    def stay(self, seconds: float) -> None:
        """Be inside for ``seconds``, with whoever else comes."""
        with self._lock:
            self._inside += 1
            self.most = max(self.most, self._inside)
        time.sleep(seconds)
        with self._lock:
            self._inside -= 1
