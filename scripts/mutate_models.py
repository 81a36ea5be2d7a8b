"""Mutate a model file many thousand times; each must be refused, or load what it held before.

    python scripts/mutate_models.py --count 100000 --out docs/results/faults.md

With --tally FILE it may be interrupted, and the same call goes on (--seconds ends it by itself).

Half of the mutants are what accidents make: flipped bits, truncations, pieces moved, swapped,
doubled or overwritten, headers of one file before the data of another. The other half are what an
attacker makes: metadata, header or tensors altered, and the checksum made right again. A checksum
is no signature, so such a file may be an honest other model: it is accepted where what was loaded
is to the bit what the file says to an independent reader, and it answers on a picture.

A finding is any exception but mien's own, a dead process, a message of several lines, a mutant that
loads as something else than it should, and a case over the limits of time and memory. Each block
of cases runs in a forked child, so a crash is seen, and named by its number: --only repeats it.
"""

import argparse
import copy
import json
import os
import random
import resource
import signal
import sys
import tempfile
import time
import traceback
from collections import Counter
from dataclasses import replace
from pathlib import Path

os.environ["OMP_NUM_THREADS"] = "1"

import safetensors.torch
import torch

from mien.config import to_json
from mien.errors import MienError
from mien.models.card import blank_metadata, seal
from mien.models.checkpoint import Model, load_model, model_bytes
from mien.models.cnn4 import CNN4Config
from mien.models.registry import build
from mien.models.residual import ResidualConfig
from mien.models.wide import WideConfig
from mien.runs import write_json

SECONDS = 5  # of the processor, for one case; the usual is a few milliseconds
MEMORY = 2**30  # that a case may take beyond what the process has
BLOCK = 500
BEGIN, END = "<!-- models: begin -->", "<!-- models: end -->"
CONFIGS = {
    "cnn4": CNN4Config(size=16, widths=(2, 3, 4, 5), hidden=(6, 5), classes=3),
    "residual": ResidualConfig(size=16, stem=2, widths=(2, 3, 4, 5), classes=3),
    "wide": WideConfig(size=16, widths=(2, 3, 4), classes=3),
}
ODD = [
    None, True, False, 0, 1, -1, 2, 3, 7, 16, 48, 1024, 1025, 10**6, 10**9, 2**31, 2**63, 10**30,
    10**400, 0.5, -0.5, 1e-300, 1e308, float("nan"), float("inf"), float("-inf"), "", "a", "cnn4",
    "wide", "__import__('os').system('id')", "../../etc/passwd", "\x1b[2J", "a\nb", "\0", "\ud800",
    "x" * 100_000, [], [[]], {}, {"a": 1}, [1, 2, 3, 4], [10**9] * 4, ["a", "b", "c"], [0.1] * 4,
]  # fmt: skip


def originals():
    """One small model of each architecture: the bytes of its file."""
    files = {}
    for name, config in CONFIGS.items():
        torch.manual_seed(3)
        about = {"seed": 3, "note": "0" * 64, "calibration": {"temperature": 1.5, "unsure": []}}
        files[name] = model_bytes(
            Model(
                network=build(name, config).eval(),
                architecture=name,
                config=config,
                classes=("a", "b", "c"),
                about=about,
                extras={"novelty.mean": torch.ones(3)},
            )
        )
    return files


# --- accidents: the checksum is left as it is ---


def flip(data, dice, _):
    for _ in range(dice.choice([1, 1, 1, 2, 8, 64])):
        data[_place(data, dice)] ^= 1 << dice.randrange(8)
    return data


def _place(data, dice):
    """Mostly in the header, which is where a reader believes what it reads."""
    header = 8 + int.from_bytes(data[:8], "little")
    near = dice.random() < 0.6 and header < len(data)
    return dice.randrange(header if near else len(data))


def truncate(data, dice, _):
    return data[: dice.randrange(len(data))]


def append(data, dice, _):
    return data + dice.randbytes(dice.choice([1, 8, 1000]))


def overwrite(data, dice, _):
    start, length = _place(data, dice), dice.choice([1, 4, 64, 1000])
    filler = dice.choice([b"\0", b"\xff", b"0", b'"', b"}", b"["])
    data[start : start + length] = filler * len(data[start : start + length])
    return data


def move(data, dice, _):
    a, b, n = _place(data, dice), _place(data, dice), dice.choice([1, 8, 100])
    piece = data[a : a + n]
    del data[a : a + n]
    data[b:b] = piece
    return data


def double(data, dice, _):
    a, n = _place(data, dice), dice.choice([1, 8, 100, 1000])
    data[a:a] = data[a : a + n]
    return data


def length(data, dice, _):
    near = max(0, int.from_bytes(data[:8], "little") + dice.randint(-9, 9))
    value = dice.choice([0, 1, 2, len(data), 2**24, 2**31, 2**32, 2**63, 2**64 - 1, near])
    data[:8] = value.to_bytes(8, "little")
    return data


def swap_header(data, dice, files):
    other = files[dice.choice(sorted(files))]
    mine, theirs = (8 + int.from_bytes(d[:8], "little") for d in (data, other))
    return bytearray(other[:theirs] + data[mine:])


# --- attacks: the checksum is made right again ---


def resealed_meta(data, dice, _):
    tensors, meta = _opened(data)
    for _ in range(dice.choice([1, 1, 2, 4])):
        _spoil(meta, dice)
    return _sealed(tensors, meta)


def resealed_config(data, dice, _):
    tensors, meta = _opened(data)
    fields = meta["config"]
    name = dice.choice(sorted(fields))
    if isinstance(fields[name], list) and dice.random() < 0.6:
        fields[name][dice.randrange(len(fields[name]))] = copy.deepcopy(dice.choice(ODD))
    else:
        fields[name] = copy.deepcopy(dice.choice(ODD))
    return _sealed(tensors, meta)


def resealed_tensors(data, dice, _):
    tensors, meta = _opened(data)
    name = dice.choice(sorted(tensors))
    value = tensors[name]
    kind = dice.randrange(8)
    if kind == 0:
        del tensors[name]
    elif kind == 1:
        tensors[dice.choice(["x", "novelty.x", "novelty.", "", f"{name}.", "\x1b[2J"])] = value
    elif kind == 2:
        tensors[name] = value.double() if value.is_floating_point() else value.float()
    elif kind == 3:
        tensors[name] = value.unsqueeze(0)
    elif kind == 4:
        tensors[name] = torch.full_like(value, 0) if value.ndim else torch.tensor(-1)
    elif kind == 5 and value.is_floating_point():
        tensors[name] = torch.full_like(value, dice.choice([float("nan"), float("inf"), 3e38]))
    elif kind == 6:
        tensors[name] = tensors[dice.choice(sorted(tensors))].clone()
    else:
        tensors[name] = value.half() if value.is_floating_point() else value.int()
    return _sealed(tensors, meta)


def resealed_bytes(data, dice, files):
    """A flip, an overwriting or a doubling, after which the checksum is right again."""
    data = dice.choice([flip, overwrite, double, move])(data, dice, files)
    return _resealed(data)


def resealed_header(data, dice, _):
    """The header's JSON altered as a structure: offsets, shapes, types, doubled keys."""
    size = int.from_bytes(data[:8], "little")
    header = json.loads(bytes(data[8 : 8 + size]))
    name = dice.choice([key for key in header if key != "__metadata__"])
    kind = dice.randrange(6)
    if kind == 0:
        header[name]["data_offsets"] = [dice.choice([0, 1, 10**9, 2**63, -1]) for _ in range(2)]
    elif kind == 1:
        header[name]["shape"] = dice.choice([[], [0], [2**62, 2], [-1], [1] * 100, "a", None])
    elif kind == 2:
        header[name]["dtype"] = dice.choice(["F64", "I8", "BOOL", "F8_E4M3", "X", None, 3])
    elif kind == 3:
        header[f"novelty.{name}"] = header[name]
    elif kind == 4:
        header["__metadata__"][dice.choice(["a", "format", "mien2"])] = dice.choice(["x", "\x1b"])
    text = json.dumps(header, separators=(",", ":"))
    if kind == 5:  # the same key twice: parsers differ on which one counts
        key = dice.choice(["__metadata__", name])
        text = f"{{{json.dumps(key)}:{json.dumps(header[key])},{text[1:]}"
    content = text.encode()
    content += b" " * (-len(content) % 8)
    return _resealed(bytearray(len(content).to_bytes(8, "little") + content + data[8 + size :]))


def _opened(data):
    size = int.from_bytes(data[:8], "little")
    meta = json.loads(json.loads(bytes(data[8 : 8 + size]))["__metadata__"]["mien"])
    kept = {key: meta[key] for key in meta if key not in ("checksum", "kind", "version")}
    return safetensors.torch.load(bytes(data)), kept


def _spoil(meta, dice):
    """Alter one place of the metadata, anywhere in its tree."""
    place, key = meta, dice.choice(sorted(meta))
    while isinstance(place[key], dict | list) and place[key] and dice.random() < 0.6:
        place = place[key]
        key = dice.randrange(len(place)) if isinstance(place, list) else dice.choice(sorted(place))
    kind = dice.randrange(4)
    if kind == 0:
        del place[key]
    elif kind == 1 and isinstance(place, dict):
        place[dice.choice(["x", "kind", "version", "checksum", ""])] = dice.choice(ODD)
    else:
        place[key] = copy.deepcopy(dice.choice(ODD))
    if not meta:
        meta["x"] = 1


def _sealed(tensors, meta):
    plain = {name: value.clone().contiguous() for name, value in tensors.items()}
    content = safetensors.torch.save(plain, metadata=blank_metadata("model", meta))
    # A checksum of its own in the metadata leaves no room for the right one.
    return _resealed(bytearray(content))


def _resealed(data):
    """With the checksum that fits, where there is still a place for one."""
    end = 8 + int.from_bytes(data[:8], "little")
    mark = b'\\"checksum\\":\\"'
    place = data.find(mark, 8, end)
    if place < 0:
        return data
    place += len(mark)
    data[place : place + 64] = b"0" * 64
    try:
        return bytearray(seal(bytes(data)))
    except ValueError:
        return data


ACCIDENTS = (flip, flip, truncate, append, overwrite, move, double, length, swap_header)
ATTACKS = (resealed_meta, resealed_config, resealed_tensors, resealed_bytes, resealed_header)


def mutant(number, seed, files):
    """The mutant called ``number``: its bytes, how it was made, and what it was made of."""
    dice = random.Random(f"{seed}/{number}")
    origin = dice.choice(sorted(files))
    how = dice.choice(ATTACKS if number % 2 else ACCIDENTS)
    return bytes(how(bytearray(files[origin]), dice, files)), how, origin


# --- judging ---


class FoundError(Exception):
    """Something that must not be."""


def judge(data, how, original, path):
    """What became of a mutant: ``refused``, ``identical`` or, of an attack, ``as it says``."""
    path.write_bytes(data)
    try:
        loaded = load_model(path)
    except MienError as error:
        if "\n" in str(error) or len(str(error)) > 2000 or not str(error).isprintable():
            raise FoundError(f"an odd message: {str(error)[:300]!r}") from error
        return "refused"
    if same(loaded, original):
        return "identical"
    if how not in ATTACKS:
        raise FoundError("an accident that loads as another model")
    says = meta_of(data)
    tensors = {**loaded.network.state_dict(), **loaded.extras}
    told = safetensors.torch.load(data)
    if set(tensors) != set(told) or not all(torch.equal(tensors[k], told[k]) for k in told):
        raise FoundError("weights that are not those of the file")
    config = to_json(loaded.config)
    if loaded.architecture != says["architecture"] or list(loaded.classes) != says["classes"]:
        raise FoundError("an architecture or classes that are not those of the file")
    if any(not _equal(config[key], value) for key, value in says["config"].items()):
        raise FoundError("a configuration that is not that of the file")
    side, channels = loaded.config.size, loaded.config.channels
    with torch.no_grad():
        logits = loaded.network(torch.full((1, channels, side, side), 90, dtype=torch.uint8))
    if logits.shape != (1, len(loaded.classes)):
        raise FoundError(f"logits of shape {tuple(logits.shape)}")
    return "as it says"


def _equal(value, said):
    # 10^30 is read as the float nearest to it.
    return value == (float(said) if isinstance(value, float) else said)


def meta_of(data):
    size = int.from_bytes(data[:8], "little")
    return json.loads(json.loads(data[8 : 8 + size])["__metadata__"]["mien"])


def same(loaded, original):
    """Whether two models are equal in all but their checksum."""
    tensors = [{**m.network.state_dict(), **m.extras} for m in (loaded, original)]
    return (
        repr(replace(loaded, network=None, checksum="", extras={}))
        == repr(replace(original, network=None, checksum="", extras={}))
        and set(tensors[0]) == set(tensors[1])
        and all(torch.equal(tensors[0][key], tensors[1][key]) for key in tensors[0])
    )


def loaded_originals(files, path):
    """The models of ``originals``, as mien reads them; what torch loads late is loaded by it."""
    models = {}
    for name, content in files.items():
        path.write_bytes(content)
        models[name] = load_model(path)
    return models


def run_block(numbers, seed, files, path, *, models=None, limited=True):
    """Judge mutants in this process: how many of each verdict, and the findings."""
    verdicts, findings = Counter(), []
    models = models or loaded_originals(files, path)
    if limited:
        # Time of the processor: a busy machine, or one that stopped this process, is no finding.
        signal.signal(signal.SIGPROF, _too_long)
        used = int(Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize()
        resource.setrlimit(resource.RLIMIT_AS, (used + MEMORY, resource.RLIM_INFINITY))
    for number in numbers:
        data, how, origin = mutant(number, seed, files)
        signal.setitimer(signal.ITIMER_PROF, SECONDS if limited else 0)
        try:
            verdict = judge(data, how, models[origin], path)
        except BaseException as error:  # noqa: BLE001  any of them is a finding
            findings.append(f"{number} {how.__name__} of {origin}: {error!r:.300}")
            verdict = "finding"
        signal.setitimer(signal.ITIMER_PROF, 0)
        verdicts[f"{'resealed' if how in ATTACKS else 'accident'}: {verdict}"] += 1
    return verdicts, findings


def _too_long(*_):
    raise FoundError(f"more than {SECONDS} seconds of the processor")


def in_child(numbers, seed, files, models, folder):
    """The same in a forked child, whose death is a finding.

    models: loaded here once, or each child would spend longer on torch's imports than on its cases.
    """
    result = folder / "result.json"
    result.unlink(missing_ok=True)
    pid = os.fork()
    if pid == 0:
        try:
            path = folder / "model.safetensors"
            verdicts, findings = run_block(numbers, seed, files, path, models=models)
            result.write_text(json.dumps([verdicts, findings]))
            os._exit(0)
        except BaseException:  # noqa: BLE001  told by the exit code
            traceback.print_exc()
        finally:
            os._exit(1)
    code = os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
    if not result.exists():
        return Counter(), [f"{numbers[0]} to {numbers[-1]}: the process ended with {code}"]
    verdicts, findings = json.loads(result.read_text())
    return Counter(verdicts), findings


def table(tally):
    """The result in Markdown."""
    findings = tally["findings"]
    verdicts = tally["verdicts"]
    rows = [f"| {name} | {number:,} |" for name, number in sorted(verdicts.items())]
    return "\n".join(
        [
            f"{tally['done']:,} mutants of {len(CONFIGS)} model files in {tally['seconds']:.0f} s: "
            f"**{len(findings)} findings**.",
            "",
            "| mutant: what became of it | number |",
            "|---|---|",
            *rows,
            *(
                ["", "Findings:", "", *(f"- {finding}" for finding in findings[:20])]
                * bool(findings)
            ),
        ]
    )


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--count", type=int, default=100_000)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--seconds", type=float, default=1e9, help="stop after so long")
    parser.add_argument("--start", type=int, default=0, help="the first one's number, to go on")
    parser.add_argument("--tally", type=Path, help="kept after each block; a later call goes on")
    parser.add_argument("--only", type=int, help="judge this one here, and show what it raises")
    parser.add_argument("--out", type=Path, help="a page whose table is replaced")
    given = parser.parse_args()
    torch.set_num_threads(1)
    files, began = originals(), time.monotonic()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        if given.only is not None:
            data, how, origin = mutant(given.only, given.seed, files)
            original = loaded_originals(files, folder / "original")[origin]
            print(how.__name__, origin, judge(data, how, original, folder / "model.safetensors"))
            return
        models = loaded_originals(files, folder / "original")
        tally = read_tally(given.tally, given.seed)
        first = given.start + tally["done"]
        for start in range(first, given.start + given.count, BLOCK):
            begun = time.monotonic()
            numbers = range(start, min(start + BLOCK, given.start + given.count))
            more, found = in_child(numbers, given.seed, files, models, folder)
            tally["done"] += len(numbers)
            tally["verdicts"] = dict(Counter(tally["verdicts"]) + more)
            tally["findings"] += found
            tally["seconds"] += time.monotonic() - begun
            for finding in found:
                print(finding, file=sys.stderr)
            if given.tally:
                write_json(given.tally, tally)
            if time.monotonic() - began > given.seconds:
                break
    text = table(tally)
    print(text)
    if given.out:
        page = given.out.read_text(encoding="utf-8")
        head, _, rest = page.partition(BEGIN)
        given.out.write_text(f"{head}{BEGIN}\n{text}\n{END}{rest.partition(END)[2]}", "utf-8")
    sys.exit(bool(tally["findings"]))


def read_tally(path, seed):
    """What earlier calls have done, or nothing yet."""
    if path is None or not path.exists():
        return {"seed": seed, "done": 0, "verdicts": {}, "findings": [], "seconds": 0.0}
    tally = json.loads(path.read_text())
    if tally["seed"] != seed:
        raise SystemExit(f"{path}: of seed {tally['seed']}; name another file")
    return tally


if __name__ == "__main__":
    main()
