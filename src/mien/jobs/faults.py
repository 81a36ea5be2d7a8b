"""What may go wrong around a training run, as one line that says what is kept and how to go on."""

import contextlib
from collections.abc import Iterator

from mien.errors import DataError, RunError
from mien.runs import Run, mend
from mien.train.memory import is_out_of_memory


@contextlib.contextmanager
def kept(run: Run) -> Iterator[None]:
    """Turn a failing disk, missing memory and pictures that change under way into one RunError.

    States are written whole or not at all, so the last one is good whatever failed.
    """
    try:
        yield
    except DataError as error:
        raise RunError(f"{error}; {_go_on(run)}, which reads the source anew") from error
    except OSError as error:
        place = error.filename or run.path
        raise RunError(
            f"{place}: cannot be written ({error.strerror or error}); {mend(error)}, "
            f"then {_go_on(run)}"
        ) from error
    except (RuntimeError, MemoryError) as error:
        if not is_out_of_memory(error):
            raise
        raise RunError(f"out of memory; free some, then {_go_on(run)}") from error


def _go_on(run: Run) -> str:
    if not run.record.is_file():
        return "train again; nothing was begun"
    return f"go on from the last saved state with 'mien train --resume {run.path}'"
