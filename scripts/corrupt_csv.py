"""Spoil a csv of faces a thousand ways; each error must name the row and the column.

    python scripts/corrupt_csv.py --count 1000

Each case spoils one cell, or one row, of a small FER2013 csv in a way that no honest file has, and
knows where. Reading must end in one RecordError with that row and that column, and with --skip-bad
leave out that row alone, naming it. Nothing trains: the error comes before a run folder is made.
"""

import argparse
import random
import sys
import tempfile
from collections import Counter
from pathlib import Path

import numpy as np

from mien.data.sources import read
from mien.errors import LayoutError, RecordError

SIDE, ROWS = 8, 12
COLUMNS = ("emotion", "pixels", "Usage")
USAGES = ("Training", "PublicTest", "PrivateTest")
JUNK = [
    b"x", b"-", b"1.5", b"1e2", b"0x10", b"nan", b"inf", b"-1", b"256", b"999", b"1" * 5000,
    b"\0", b"\xff", b"\xe9", b"\xed\xa0\x80", b"\xc0\x80", "٣".encode(), "½".encode(), b"1_0",
    b"+1", b"1;2", b"NULL", b"#REF!", b"=1+1", b"\x1b[2J", b"\x7f", b"'", b"None",
]  # fmt: skip
BEGIN = b"emotion,pixels,Usage\n"


def good(dice):
    """Rows of cells as bytes."""
    faces = np.random.default_rng(dice.randrange(2**32)).integers(0, 256, (ROWS, SIDE * SIDE))
    return [
        [
            b"%d" % dice.randrange(7),
            b" ".join(b"%d" % v for v in face),
            dice.choice(USAGES).encode(),
        ]
        for face in faces.tolist()
    ]


# Each spoils ``rows[n]`` and gives the column (from 1) that an error must name.


def odd_pixel(row, dice):
    values = row[1].split()
    values[dice.randrange(len(values))] = dice.choice(JUNK)
    row[1] = b" ".join(values)
    return 2


def pixel_count(row, dice):
    values = row[1].split()
    place = dice.randrange(len(values))
    if dice.random() < 0.5:
        del values[place : place + dice.choice([1, 2, 30, 64])]
    else:
        values[place:place] = [b"7"] * dice.choice([1, 2, 64])
    row[1] = b" ".join(values)
    return 2


def glued_pixels(row, dice):
    """A separator that got lost, or that is another one."""
    values = row[1].split()
    place = dice.randrange(1, len(values))
    mark = dice.choice([b"", b";", b"|", b".", b"\xa0", b"/"])
    row[1] = b" ".join(values[:place]) + mark + b" ".join(values[place:])
    return 2


def odd_label(row, dice):
    row[0] = dice.choice(
        [
            b"",
            b" ",
            b"7",
            b"8",
            b"3.0",
            b"-0",
            b"-1",
            b"1e0",
            b"nan",
            b"\0",
            b"\xff",
            b"3\x1b",
            b"\x00\x003",
            b"9" * 400,
            b"inf",
            b"1_0",
        ]
    )
    return 1


def unknown_class(row, dice):
    """A name that is none of the seven: an error of the whole file, which says where it begins."""
    row[0] = dice.choice([b"contempt", b"0x1", b"joy!", b"<b>", b"../x", b"=1+1", "怒".encode()])
    return 1


def odd_usage(row, dice):
    row[2] = dice.choice(
        [
            b"",
            b" ",
            b"Trainig",
            b"0",
            b"\0",
            b"\xff",
            b"Training\0",
            b"Test set",
            b"x" * 10_000,
            b"Training Training",
            b"\xef\xbb\xbfTraining",
            b"None",
        ]
    )
    return 3


def lost_field(row, dice):
    del row[dice.randrange(len(row)) :]
    if not row:
        row.append(b"3")
    return len(row) + 1


def more_fields(row, dice):
    row += [dice.choice([b"", b"x", b"1 2 3", b"\xff"])] * dice.choice([1, 2, 50])
    return 4


def split_pixels(row, dice):
    """Commas between pixels instead of blanks."""
    row[1] = row[1].replace(b" ", b",")
    return 4


def open_quote(row, dice):
    """A quotation mark that opens a cell and is never closed: the rest of the file is in it."""
    row[1] = b'"' + row[1]
    return 3


def quoted_line_break(row, dice):
    row[dice.choice([0, 2])] += b'"\n"'
    place = 0 if row[0].endswith(b'"') else 2
    row[place] = b'"' + row[place].replace(b'"\n"', b'\n"')
    # A blank at a cell's end does not matter, so the break stands in the middle.
    row[place] = row[place].replace(b"\n", b"\nx")
    return place + 1


def carriage_return(row, dice):
    """The line end of an old Macintosh, in the middle of a cell."""
    place = dice.randrange(3)
    cell = row[place]
    cut = len(cell) // 2
    row[place] = cell[:cut] + b"x\rx" + cell[cut:]
    return place + 1


def huge_cell(row, dice):
    row[1] = b"1 " * (5 * 2**20 // 2)
    return 2


def swapped(row, dice):
    row[0], row[1] = row[1], row[0]
    return 2  # the numbers might be the name of a class; that the pixels are none is sure


SPOILERS = (
    odd_pixel, odd_pixel, odd_pixel, pixel_count, pixel_count, glued_pixels, odd_label,
    unknown_class,
    odd_usage,
    lost_field, more_fields, split_pixels, open_quote, quoted_line_break, carriage_return, swapped,
)  # fmt: skip


def case(number, seed=0):
    """The bytes of a spoilt csv, how it was spoilt, row and column as a spreadsheet counts."""
    dice = random.Random(f"{seed}/{number}")
    rows = good(dice)
    how = huge_cell if number % 200 == 199 else dice.choice(SPOILERS)
    # The last row too, but for what swallows all that follows.
    place = dice.randrange(how is open_quote, ROWS)
    column = how(rows[place], dice)
    end = dice.choice([b"\n", b"\r\n"]) if how is not carriage_return else b"\n"
    content = BEGIN.replace(b"\n", end) + b"".join(b",".join(row) + end for row in rows)
    return content, how, place + 2, column


def judge(content, how, row, column, folder):
    """What is wrong with how the case is read, or nothing."""
    path = folder / "faces.csv"
    path.write_bytes(content)
    try:
        read(path, size=SIDE, cache=False)
    except RecordError as error:
        message = str(error)
    except LayoutError as error:
        found = f"(first in row {row}, column {column}" in str(error)
        return "" if found and how is unknown_class else f"{error!r:.300}"
    except Exception as error:  # noqa: BLE001  that is a finding
        return f"{error!r:.300}"
    else:
        return "read without an error"
    where = f"row {row}, column {column}"
    if not message.startswith(f"{path}: {where}") or "\n" in message or len(message) > 600:
        return f"not '{where}': {message[:300]}"
    images = read(path, size=SIDE, cache=False, skip_bad=True)
    lost = 1 if how is not open_quote else ROWS + 2 - row
    if len(images.problems) != 1 or len(images) != ROWS - lost:
        return f"{len(images.problems)} rows left out, {len(images)} read"
    if not images.problems[0].where.startswith(where):
        return f"left out {images.problems[0].where}, not {where}"
    return ""


def run(count, seed, folder, start=0):
    """How many of each kind, and the findings."""
    kinds, findings = Counter(), []
    for number in range(start, start + count):
        content, how, row, column = case(number, seed)
        kinds[how.__name__] += 1
        if wrong := judge(content, how, row, column, folder):
            findings.append(f"{number} {how.__name__}: {wrong}")
    return kinds, findings


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--count", type=int, default=1000)
    parser.add_argument("--seed", type=int, default=0)
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        kinds, findings = run(given.count, given.seed, Path(folder))
    print(f"{given.count:,} spoilt csv files, {len(findings)} findings\n")
    print("| spoilt by | files |\n|---|---|")
    for name, number in sorted(kinds.items()):
        print(f"| {name.replace('_', ' ')} | {number} |")
    print(*findings[:40], sep="\n", file=sys.stderr)
    sys.exit(bool(findings))


if __name__ == "__main__":
    main()
