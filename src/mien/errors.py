"""Every error that a user can cause, each with a message of one line: the cause, then the mend.

::

    MienError
    ├── DataError            a source of pictures or labels cannot be used
    │   ├── LayoutError      its layout is not recognised, or lacks something
    │   ├── RecordError      one row or file of it is bad (says which)
    │   └── ArchiveError     an archive is broken or hostile
    ├── ModelFileError       a model file is truncated, altered, foreign or not a model
    ├── NetworkError         a network cannot be built, run or checked (names the layer)
    ├── RunError             a run folder is missing, locked, or not what was asked for
    │   └── RankLostError    another process of the same run has ended
    ├── OptionError          an option or a field of a configuration has a bad value
    └── MissingExtraError    a verb needs an extra that is not installed

The command line prints ``mien: <message>`` on stderr and ends with the class's ``exit_code``.
Anything else that escapes is a defect of mien.
"""


def printable(text: str) -> str:
    """``text`` with control characters and the like escaped."""
    return "".join(c if c.isprintable() else ascii(c)[1:-1] for c in text)


def said(text: object, most: int = 200) -> str:
    """What a stranger's file, or an error about it, says: printable, ``most`` characters long."""
    plain = printable(str(text)[: most + 1])
    return plain if len(plain) <= most else f"{plain[: most - 1]}…"


class MienError(Exception):
    """An error whose message tells a user what is wrong and what to do."""

    exit_code = 2


class DataError(MienError):
    """A source of pictures or labels cannot be used."""


class LayoutError(DataError):
    """The layout of a source is not recognised, or something that it needs is missing."""


class RecordError(DataError):
    """One row or one file of a source is bad; the message says which."""


class ArchiveError(DataError):
    """An archive is broken, or has entries that are refused (links, paths outside, bombs)."""


class ModelFileError(MienError):
    """A file is truncated, altered, foreign, or no model of mien's."""


class NetworkError(MienError):
    """A network cannot be built, run or checked; the message names the layer and what fails."""


class RunError(MienError):
    """A run folder is missing, locked by another process, or does not fit what was asked."""


class RankLostError(RunError):
    """Another process of the same training has ended; told by each of those that are left."""


class OptionError(MienError):
    """An option, or a field of a configuration, has a value that cannot be used."""


class MissingExtraError(MienError):
    """A verb needs packages of an extra that is not installed."""

    def __init__(self, verb: str, extra: str) -> None:
        super().__init__(f"{verb} needs the extra '{extra}': pip install 'mien[{extra}]'")
