"""The service with real networks: answers in a batch are those of single questions; gradients."""

import io
import os
import sys
import threading
from concurrent.futures import ThreadPoolExecutor, wait

import numpy as np
import pytest
from PIL import Image

from exported import small
from mien import system
from mien.data.synthetic import generate
from mien.errors import OptionError
from mien.explain.attribution import attribute
from mien.jobs.export import export
from mien.jobs.foreign import open_network
from mien.jobs.serving import Service, behind, open_for_many
from mien.models import bundled
from mien.models.checkpoint import save_model
from mien.predict.classifier import open_classifier
from mien.predict.faces import WholePicture
from mien.predict.pipeline import Predictor
from mien.predict.torch_classifier import TorchClassifier


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """A run's model and the ONNX form beside it."""
    folder = tmp_path_factory.mktemp("served")
    save_model(folder / "model.safetensors", small())
    export(folder)
    return folder


@pytest.mark.parametrize(
    ("form", "batches", "limit"), [("onnx", 2, 1e-4), ("fp32", 1, 1e-4), ("bf16", 1, 1e-2)]
)
def test_answers_in_a_batch_are_those_of_single_questions(form, batches, limit):
    """With the bundled model: an untrained one says nearly the same of every face."""
    if form == "onnx":
        classifier = open_classifier(bundled.DEFAULT, threads=1)
        assert classifier.backend == "onnx"
    else:
        weights = bundled.entry(bundled.DEFAULT).weights
        classifier = TorchClassifier(weights, threads=1, precision=form)
        assert classifier.precision == form
    crops = generate(40, seed=11).images
    alone = [classifier.classify(crop[None]) for crop in crops]
    told = []
    service = Service(Predictor(classifier, WholePicture()), batches=batches, most=32,
                      told=lambda *both: told.append(both))  # fmt: skip
    answers = [service.ask(crop[None]) for crop in crops]
    wait(answers, 60)
    service.close()
    assert sum(questions for questions, _ in told) == len(crops)
    assert max(questions for questions, _ in told) >= 8  # or nothing was shown
    shares = np.array([alone.probabilities[0] for alone in alone])
    assert np.ptp(shares, axis=0).max() > 5 * limit  # the pictures differ, so an exchange shows
    found = np.array([answer.result().probabilities[0] for answer in answers])
    assert np.abs(found - shares).max() < limit


def test_gradients_are_those_of_the_explain_room(folder):
    weights = str(folder / "model.safetensors")
    predictor = Predictor(open_classifier(folder, threads=1), WholePicture())
    service = Service(predictor, network=lambda: open_network(weights))
    pixels = generate(1, seed=3).images[0, 0]
    file = io.BytesIO()
    Image.fromarray(pixels).save(file, "PNG")
    prepared = service.prepare(file.getvalue(), whole=True)
    np.testing.assert_array_equal(prepared.crops[0, 0], pixels)
    opened = open_network(weights)
    for method in ("gradcam", service.methods[0]):
        one = service.explain(prepared, method=method, target="sad")
        assert (one.method, one.target) == (method, "sad")
        wanted = attribute(opened.network, prepared.crops, method=method,
                           targets=np.array([service.classes.index("sad")]),
                           as_input=opened.as_input)  # fmt: skip
        np.testing.assert_allclose(one.values, wanted.maps[0], rtol=1e-4, atol=1e-6)
        assert np.ptp(one.values) > 0
    service.close()


def test_onnx_gets_a_thread_a_batch_and_torch_all_of_them(folder, monkeypatch):
    monkeypatch.setattr(system, "cores", lambda: 3)
    asked = []

    def opener(backend):
        def open_(threads):
            asked.append((backend, threads))
            return Predictor(
                open_classifier(folder, backend=backend, threads=threads), WholePicture()
            )

        return open_

    assert open_for_many(opener("onnx"), 3)[1] == 3
    assert open_for_many(opener("torch"), 3)[1] == 1
    assert asked == [("onnx", 1), ("torch", 1), ("torch", 3)]
    with pytest.raises(OptionError, match="--threads 4: this process may use 3 cores"):
        open_for_many(opener("onnx"), 4)


@pytest.mark.skipif(sys.platform != "linux", reason="elsewhere a thread has no priority of its own")
def test_threads_that_compute_give_way_and_hand_that_on():
    def priority():
        return os.getpriority(os.PRIO_PROCESS, threading.get_native_id())

    def of_a_child():
        with ThreadPoolExecutor(1) as child:
            return child.submit(priority).result()

    before = priority()
    assert behind(priority) > before
    assert behind(of_a_child) > before
    assert priority() == before


def test_ten_looks_are_those_of_the_predictor():
    predictor = Predictor(open_classifier("tiny", threads=1), WholePicture(), views=10)
    buffer = io.BytesIO()
    Image.fromarray(generate(1, seed=12).images[0, 0]).save(buffer, "PNG")
    service = Service(predictor)
    prepared = service.prepare(buffer.getvalue(), whole=True)
    assert len(prepared.crops) == 10
    (face,) = service.faces(prepared, service.ask(prepared.crops).result(60))
    service.close()
    (own,) = predictor.predict(buffer.getvalue())
    single = Predictor(predictor.classifier, WholePicture()).predict(buffer.getvalue())[0]
    assert list(face.probabilities.values()) == pytest.approx(list(own.probabilities.values()))
    assert abs(face.confidence - single.confidence) > 1e-4
