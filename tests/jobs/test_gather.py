"""Batches: what is asked at once is answered at once, each as if alone."""

import threading
import time
from concurrent.futures import wait

import numpy as np
import pytest

from mien.jobs.gather import Gather, Pace, Places
from mien.jobs.occlude import fall, squares
from mien.types import Scores
from serving_fakes import BrightClassifier
from side_by_side import Place


def crops(count: int, seed: int) -> np.ndarray:
    return np.random.default_rng(seed).integers(0, 256, (count, 1, 48, 48), dtype=np.uint8)


def test_batches_give_what_single_questions_give() -> None:
    slow, alone = BrightClassifier(delay=0.02), BrightClassifier()
    told: list[tuple[int, int]] = []
    gather = Gather(slow.classify, most=16, told=lambda *both: told.append(both))
    asked = [crops(1 + n % 3, n) for n in range(30)]
    answers = [gather.submit(one) for one in asked]
    wait(answers, 10)
    for question, answer in zip(asked, answers, strict=True):
        wanted = alone.classify(question)
        np.testing.assert_allclose(answer.result().probabilities, wanted.probabilities, atol=1e-6)
        np.testing.assert_array_equal(answer.result().novelty, wanted.novelty)
    gather.close()
    assert sum(n for n, _ in told) == 30
    assert sum(n for _, n in told) == sum(map(len, asked)) == sum(slow.calls)
    assert max(slow.calls) <= 16
    assert len(slow.calls) < 12  # 60 crops in batches of up to 16, not 30 calls
    with pytest.raises(RuntimeError):
        gather.submit(asked[0])


def test_a_question_larger_than_a_batch_stays_whole() -> None:
    classifier = BrightClassifier()
    gather = Gather(classifier.classify, most=8)
    assert len(gather.submit(crops(20, 0)).result(5).probabilities) == 20
    gather.close()
    assert classifier.calls == [20]


def test_one_bad_question_spoils_none() -> None:
    def picky(asked: np.ndarray) -> Scores:
        time.sleep(0.02)
        if (asked == 7).all(axis=(1, 2, 3)).any():
            raise ValueError("sevens")
        return BrightClassifier().classify(asked)

    gather = Gather(picky)
    good = [gather.submit(crops(1, n)) for n in range(3)]
    bad = gather.submit(np.full((1, 1, 48, 48), 7, np.uint8))
    more = gather.submit(crops(2, 9))
    assert all(len(one.result(5).probabilities) == 1 for one in good)
    assert len(more.result(5).probabilities) == 2
    with pytest.raises(ValueError, match="sevens"):
        bad.result(5)
    gather.close()


def test_closing_answers_what_was_asked() -> None:
    gather = Gather(BrightClassifier(delay=0.05).classify, most=1)
    answers = [gather.submit(crops(1, n)) for n in range(5)]
    gather.close()
    assert all(one.done() and not one.cancelled() for one in answers)


def test_places_are_never_overdrawn() -> None:
    places, got = Places(5), []

    def take() -> None:
        got.append(places.take())

    threads = [threading.Thread(target=take) for _ in range(20)]
    for one in threads:
        one.start()
    for one in threads:
        one.join()
    assert got.count(True) == places.taken == 5
    places.give()
    assert places.take()
    assert not places.take()


def test_places_follow_from_the_wanted_wait() -> None:
    each = 0.0
    places = Places(64, wait=0.25, least=4, each=lambda: each)
    assert places.room == 64  # nothing is known yet
    for each, room in [(0.001, 64), (0.25 / 64, 64), (0.01, 25), (0.05, 5), (2.0, 4)]:  # noqa: B007
        assert places.room == room
    assert [places.take() for _ in range(5)] == [True] * 4 + [False]
    assert places.full
    each = 0.05
    assert not places.full
    assert places.take()


def test_pace_is_a_mean_in_which_one_slow_request_counts_little() -> None:
    pace = Pace()
    for _ in range(400):
        pace.worked(0.08, 8)
    assert pace.seconds == pytest.approx(0.01, rel=1e-3)
    pace.worked(1.0)
    assert pace.seconds == pytest.approx(0.95 * 0.01 + 0.05)


def test_two_batches_are_answered_at_once() -> None:
    place = Place()

    def slow(asked: np.ndarray) -> Scores:
        place.stay(0.03)
        return BrightClassifier().classify(asked)

    gather = Gather(slow, most=4, workers=2)
    asked = [crops(1, n) for n in range(40)]
    answers = [gather.submit(one) for one in asked]
    begin = time.perf_counter()
    gather.close()  # answers all, and ends both threads however they sleep
    assert time.perf_counter() - begin < 5
    assert place.most == 2
    for question, answer in zip(asked, answers, strict=True):
        wanted = BrightClassifier().classify(question).probabilities
        np.testing.assert_allclose(answer.result(0).probabilities, wanted, atol=1e-6)
    assert 0 < gather.each < 0.03


def test_threads_that_sleep_or_fill_a_batch_end_too() -> None:
    for pause in (0.0, 0.05):
        gather = Gather(BrightClassifier().classify, wait=0.5, workers=3)
        if pause:
            answer = gather.submit(crops(1, 0))
            time.sleep(pause)
        begin = time.perf_counter()
        gather.close()
        assert time.perf_counter() - begin < 0.4
    assert len(answer.result(0).probabilities) == 1


def test_occlusion_is_that_of_explain() -> None:
    """Against the torch method with the logarithm of the probability as the score."""
    torch = pytest.importorskip("torch")
    from mien.explain.attribution import attribute

    classifier = BrightClassifier()

    class Bright(torch.nn.Module):
        def forward(self, x: "torch.Tensor") -> "torch.Tensor":
            found = classifier.classify(x.round().to(torch.uint8).numpy())
            return torch.log(torch.from_numpy(found.probabilities))

    picture = crops(1, 3)
    picture[0, 0, 20:30, 10:40] = 250
    grey = int(np.rint(picture.mean()))
    wanted = attribute(Bright(), picture, method="occlusion", options=_options(grey))
    covers = squares(48, 48)
    asked = np.concatenate([picture, np.where(covers[:, None], np.uint8(grey), picture)])
    shares = classifier.classify(asked).probabilities[:, int(wanted.targets[0])]
    np.testing.assert_allclose(fall(shares, covers), wanted.maps[0], atol=1e-4)


def _options(grey: int) -> object:
    from mien.explain.options import Options

    return Options(patch=12, stride=6, baseline=grey)
