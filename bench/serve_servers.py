"""The servers of ``serve_load``, each in a process of its own.

    python bench/serve_servers.py mien|plain MODEL BACKEND THREADS[xBATCHES] WAY QUEUE

WAY: ``the loop`` or ``threads``. Prints its port, the side of the crops and their channels;
``mien`` at its end also how many requests it took on and did not answer.
"""

import sys
from pathlib import Path

import numpy as np


def classifier_of(model, backend, threads):
    """BACKEND: onnx, int8 (MODEL is the file), torch-fp32 or torch-bf16."""
    from mien.models import bundled
    from mien.predict.classifier import open_classifier

    if not backend.startswith("torch"):
        return open_classifier(model, threads=threads)
    from mien.predict.torch_classifier import TorchClassifier

    known = model in (bundled.DEFAULT, *bundled.names())
    path = bundled.entry(model).weights if known else Path(model)
    path = path / "model.safetensors" if path.is_dir() else path
    return TorchClassifier(path, threads=threads, precision=backend.partition("-")[2])


def be_mien(make, batches, queue):
    """Serve as the verb does."""
    from mien.app.server.running import bind, serve
    from mien.app.server.settings import Settings
    from mien.jobs.serving import Service, behind, sleep_between
    from mien.predict.faces import WholePicture
    from mien.predict.pipeline import Predictor

    sleep_between()
    classifier, listening, kept = behind(make), bind("127.0.0.1", 0), []

    def service(state):
        kept.append(state)
        return Service(Predictor(classifier, WholePicture()), name="m", batches=batches,
                       told=state.metrics.batch)  # fmt: skip

    serve(Settings(queue=queue, drain_seconds=0.2), listening, make=service,
          ready=lambda address: tell(listening, classifier))  # fmt: skip
    print(kept[0].places.taken, flush=True)


def be_plain(make, in_threads):
    """A FastAPI handler that calls the model for each request, and nothing around it."""
    import uvicorn
    from fastapi import FastAPI, Request
    from starlette.concurrency import run_in_threadpool

    from mien.app.server.running import bind

    classifier, app = make(), FastAPI()
    crop = (1, classifier.channels, classifier.size, classifier.size)

    def work(body, head):
        pixels = np.frombuffer(body[head:], np.uint8).reshape(crop)
        return classifier.classify(pixels).probabilities.tolist()

    @app.post("/v2/models/{name}/infer")
    async def infer(name: str, request: Request):
        body, head = await request.body(), int(request.headers["inference-header-content-length"])
        if in_threads:  # in a thread of the pool, as FastAPI does with plain functions
            return {"probabilities": await run_in_threadpool(work, body, head)}
        return {"probabilities": work(body, head)}

    listening = bind("127.0.0.1", 0)
    tell(listening, classifier)
    config = uvicorn.Config(app, log_level="critical", access_log=False)
    uvicorn.Server(config).run(sockets=[listening])


def tell(listening, classifier):
    """The first line."""
    print(listening.getsockname()[1], classifier.size, classifier.channels, flush=True)


def main():
    kind, model, backend, threads, way, queue = sys.argv[1:]

    threads, _, batches = threads.partition("x")

    def make():
        return classifier_of(model, backend, int(threads))

    if kind == "mien":
        be_mien(make, int(batches or 1), int(queue))
    else:
        be_plain(make, way == "threads")


if __name__ == "__main__":
    main()
