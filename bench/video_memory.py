"""A long clip: memory is flat, and 25 frames a second of 640×480 are kept up with.

Draws a clip of mien's faces that move over a drifting background (``jobs.drawn_clip``), reads it
through as ``mien predict`` does, in a process of its own, and prints speed as a multiple of the
clip's own time, and the process's resident memory after each tenth. Reading alone (decoding, no
faces) stands beside it.

    python bench/video_memory.py --model RUN [--minutes 10] [--people 2] [--annotate]
"""

import argparse
import json
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

RATE = 25.0


def memory():
    """Resident memory of this process, MB."""
    fields = Path("/proc/self/statm").read_text().split()
    return int(fields[1]) * resource.getpagesize() / 1e6


def read(path, model, annotated):
    from mien.app.annotate import annotate
    from mien.predict.clips import ClipWriter, open_clip
    from mien.predict.pipeline import load
    from mien.predict.video import watch

    start = time.perf_counter()
    with open_clip(path) as clip:
        count = sum(1 for _ in clip.frames())
    decoding = time.perf_counter() - start
    predictor = load(model)
    levels, ids, seen = [], {}, 0
    start, cpu = time.perf_counter(), time.process_time()
    with open_clip(path) as clip, tempfile.TemporaryDirectory() as folder:
        writer = None
        if annotated:
            writer = ClipWriter(Path(folder, "a.mp4"), clip.width, clip.height, clip.rate)
            writer.__enter__()
        for frame in watch(clip, predictor):
            for face in frame.faces:
                ids[face.id] = ids.get(face.id, 0) + 1
            seen += len(frame.faces)
            if writer:
                writer.write(frame.time, annotate(frame.picture, frame.faces, seconds=frame.time))
            if frame.number % max(1, count // 10) == 0:
                levels.append(memory())
        if writer:
            writer.__exit__(None, None, None)
    print(json.dumps({
        "frames": count, "decoding": decoding, "seconds": time.perf_counter() - start,
        "cpu": time.process_time() - cpu, "levels": levels, "ids": ids, "faces": seen,
        "backend": predictor.classifier.backend,
    }))  # fmt: skip


def main():
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--model", default="default")
    parser.add_argument("--minutes", type=float, default=10.0)
    parser.add_argument("--people", type=int, default=2)
    parser.add_argument("--annotate", action="store_true")
    parser.add_argument("--clip", help="read this clip instead of a drawn one")
    parser.add_argument("--read", help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.read:
        read(given.read, given.model, given.annotate)
        return
    from mien.jobs.drawn_clip import draw_clip

    with tempfile.TemporaryDirectory() as folder:
        path = Path(given.clip or Path(folder, "drawn.mp4"))
        if not given.clip:
            draw_clip(path, given.minutes * 60, people=given.people, rate=RATE)
        command = [sys.executable, __file__, "--read", str(path), "--model", given.model]
        command += ["--annotate"] * given.annotate
        done = subprocess.run(command, capture_output=True, text=True, check=True)
    found = json.loads(done.stdout)
    length, levels = found["frames"] / RATE, found["levels"]
    print(f"{found['frames']:,} frames, {length / 60:.1f} minutes, {found['backend']}")
    print(f"reading alone    {length / found['decoding']:6.2f} × real time")
    print(f"with faces       {length / found['seconds']:6.2f} × real time, "
          f"{found['cpu'] / length:.2f} s of processor a second of clip")  # fmt: skip
    print("memory, MB       " + " ".join(f"{level:.0f}" for level in levels))
    # The first tenth warms up: buffers, the arenas of onnxruntime.
    steady = levels[1:]
    print(f"after a tenth    {max(steady) - min(steady):6.1f} MB between least and most, "
          f"median {statistics.median(steady):.0f}")  # fmt: skip
    print(f"faces            {found['faces'] / found['frames']:6.2f} a frame, ids {found['ids']}")


if __name__ == "__main__":
    main()
