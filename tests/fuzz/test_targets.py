"""The fuzz targets work, and a few hundred mutants of good inputs find nothing, in little time."""

import importlib.util
import random
import sys
import time
from pathlib import Path

import pytest

_SPEC = importlib.util.spec_from_file_location("targets", Path(__file__).parent / "targets.py")
targets = importlib.util.module_from_spec(_SPEC)
sys.modules["targets"] = targets
_SPEC.loader.exec_module(targets)

SLOWEST = 5.0  # seconds; the usual is a few milliseconds


def mutants(seeds, count, rng):
    for _ in range(count):
        data = bytearray(rng.choice(seeds))
        for _ in range(rng.choice([1, 1, 2, 5, 20])):
            place, kind = rng.randrange(len(data)), rng.randrange(5)
            if kind == 0:
                data[place] ^= 1 << rng.randrange(8)
            elif kind == 1:
                data[place] = rng.choice([0, 1, 127, 128, 255, 10, 44])
            elif kind == 2:
                data[place : place + 4] = rng.choice([b"\xff" * 4, b"\0" * 4, b"\x7f\xff\xff\xff"])
            elif kind == 3:
                data[place:place] = data[place : place + rng.randrange(1, 64)]
            else:
                del data[place : place + rng.choice([1, 2, 16])]
            if not data:
                break
        yield bytes(data if rng.random() < 0.9 else data[: rng.randrange(len(data) + 1)])


@pytest.mark.parametrize(
    ("name", "count"),
    [
        ("csv", 300),
        ("archive", 300),
        ("model", 100),
        ("picture", 300),
        ("run", 300),
        ("predictions", 200),
        ("onnx", 300),
    ],
)
def test_a_target_finds_nothing(name, count):
    target, seeds = targets.TARGETS[name], targets.seeds(name)
    for data in [b"", b"\0", *seeds]:
        target(data)
    for data in mutants(seeds, count, random.Random(name)):
        begun = time.process_time()
        try:
            target(data)
        except BaseException as error:
            raise AssertionError(f"{name}: {data!r}") from error
        assert time.process_time() - begun < SLOWEST, data


def test_a_target_shows_a_defect(monkeypatch):
    def odd(*_, **__):
        raise targets.MienError("two\nlines")

    monkeypatch.setattr(targets, "decode", odd)
    with pytest.raises(targets.Defect):
        targets.picture(b"")


def test_a_seed_is_good(monkeypatch):
    def refuse(error):
        raise error

    for data in targets.seeds("picture"):
        targets.decode(data, "x", size=16)
    for data in targets.seeds("model"):
        assert targets.resealed(data) == data
    monkeypatch.setattr(targets, "_told", refuse)
    for name in targets.TARGETS:
        for data in targets.seeds(name):
            targets.TARGETS[name](data)
