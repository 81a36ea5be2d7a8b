"""Verdicts on methods that are known to be good or to be drawings."""

import dataclasses

import numpy as np
import pytest
import torch
from torch import nn

from mien.explain import attribution
from mien.explain.attribution import Method
from mien.explain.trust import measure
from mien.explain.trust.baselines import BASELINES
from mien.explain.trust.curves import CurveOptions, Prober
from mien.explain.trust.default import default_method
from mien.explain.trust.measure import (
    Measured,
    Subject,
    from_arrays,
    joined,
    measure_baseline,
    measure_method,
)
from mien.explain.trust.randomise import layers
from mien.explain.trust.verdict import MethodTrust, judge, judge_baseline
from mien.words import say
from mien.words.trust import short_verdict
from trust_toys import pictures

SIDE, N = 16, 64


class Local(nn.Module):
    """Says whether one patch, somewhere else in each picture, is bright: the brightest one.

    Its weights say how the patches count; shuffling them makes it look elsewhere.
    """

    def __init__(self):
        super().__init__()
        weight = torch.zeros(1, 256)
        weight.view(16, 16)[2:6, 9:13] = 1.0
        self.score = nn.Linear(256, 1)
        self.score.weight.data = weight * 0.6
        self.score.bias.data.fill_(-5.0)

    def forward(self, x_NCHW):
        score = self.score(x_NCHW.float().flatten(1) / 255)
        return torch.cat([score, torch.zeros_like(score)], dim=1)


def oracle(network, x_NCHW, aim, options):
    """What the weights say, times the picture: the whole truth of a linear network."""
    return (network.score.weight.reshape(1, 16, 16) * x_NCHW[:, 0]).detach()


def posing(name):
    def run(network, x_NCHW, aim, options):
        maps = BASELINES[name].run(x_NCHW.detach().numpy().astype(np.uint8), 3)
        return torch.from_numpy(maps)

    return run


@pytest.fixture
def methods(monkeypatch):
    made = {"oracle": Method(run=oracle, title="oracle", paper="")}
    made |= {name: Method(run=posing(name), title=f"posing {name}", paper="") for name in BASELINES}
    monkeypatch.setattr(attribution, "METHODS", made)
    monkeypatch.setattr(measure, "METHODS", made)
    return made


@pytest.fixture
def subject() -> Subject:
    network, images = Local().eval(), pictures(N)
    images[:, :, 2:6, 9:13] = 255 - images[:, :, 2:6, 9:13] // 8  # bright: class 0
    # Elsewhere the pictures differ, and the blur of the patch is darker than the patch.
    targets = np.zeros(N, np.int64)
    masks = np.zeros((N, SIDE, SIDE), bool)
    masks[:, 2:6, 9:13] = True
    other = Local().eval()
    other.score.weight.data = torch.flip(other.score.weight.data, [1])
    return Subject(
        network=network, images=images, targets=targets, masks=masks, shuffled=other,
        prober=Prober(network, images, targets, CurveOptions(patch=2)),
        groups=layers(network, torch.from_numpy(images[:2])), randomised={"single": 16, "many": 8},
    )  # fmt: skip


def trusted(name: str, subject: Subject) -> MethodTrust:
    rivals = {b: measure_baseline(b, subject) for b in BASELINES}
    return judge(name, name, measure_method(name, subject), rivals, ["score"])


def test_an_oracle_passes(methods, subject) -> None:
    found = trusted("oracle", subject)
    assert found.verdict == "passes"
    assert found.against == ()
    assert found.mass.low > 0.999
    assert found.pointing.value == 1
    assert [finding.kind for finding in found.findings] == ["trust-passes"]
    assert all(v.deletion.low > 0 and v.insertion.low > 0 and v.mass.low > 0 for v in found.versus)


def test_an_edge_detector_posing_as_a_method_is_caught(methods, subject) -> None:
    found = trusted("edges", subject)
    assert found.verdict == "ignores-weights"
    assert found.weights[-1].cascade.low > 0.999
    assert found.labels.low > 0.999
    kinds = [finding.kind for finding in found.findings]
    assert kinds[:3] == ["trust-weights", "trust-labels", "trust-not-better"]
    assert "edges" in found.against
    assert "rank correlation of 1.00 [1.00, 1.00]" in say(found.findings[0])


@pytest.mark.parametrize("name", ["centre", "mean_face", "blurred_noise"])
def test_a_baseline_posing_as_a_method_is_not_better_than_itself(methods, subject, name) -> None:
    found = trusted(name, subject)
    assert found.verdict != "passes"
    assert name in found.against
    told = next(finding for finding in found.findings if finding.kind == "trust-not-better")
    assert say(told).startswith(f"{name} is not better than the ")
    assert say(told, "zh-Hant").startswith(f"{name}並不優於")
    if name != "blurred_noise":  # drawn from another seed, it is only as good on average
        mine = next(one for one in found.versus if one.baseline == name)
        assert (mine.deletion.value, mine.insertion.value) == (0, 0)


def test_the_network_is_as_it_was(methods, subject) -> None:
    before = {k: v.clone() for k, v in subject.network.state_dict().items()}
    trusted("oracle", subject)
    after = subject.network.state_dict()
    assert all(torch.equal(before[name], after[name]) for name in before)


def numbers(**given) -> Measured:
    rng = np.random.default_rng(0)
    base = {
        "deletion": 0.2 + 0.02 * rng.standard_normal(200),
        "insertion": 0.6 + 0.02 * rng.standard_normal(200),
        "deletion_curve": np.linspace(0.8, 0.1, 5), "insertion_curve": np.linspace(0.1, 0.8, 5),
        "cascade": np.full((1, 40), 0.1), "alone": np.full((1, 40), 0.1),
        "between": np.full(40, 0.2), "draw": np.arange(40) % 4,
    }  # fmt: skip
    return from_arrays({**base, **given})


WEAK = {"weak": numbers(deletion=np.full(200, 0.4), insertion=np.full(200, 0.4))}


def test_the_rules_of_the_weights() -> None:
    assert judge("m", "M", numbers(), WEAK, ["only"]).verdict == "passes"
    # More alike than two faces' maps by more than the margin; less than the margin; half.
    for cascade, between, verdict in (
        (0.35, 0.2, "ignores-weights"), (0.25, 0.2, "passes"), (0.55, 0.9, "ignores-weights"),
    ):  # fmt: skip
        given = numbers(cascade=np.full((1, 40), cascade), between=np.full(40, between))
        assert judge("m", "M", given, WEAK, ["only"]).verdict == verdict


def test_what_the_images_do_not_tell_is_no_verdict() -> None:
    wide = np.where(np.arange(40) % 2, 0.1, 0.5)
    found = judge("m", "M", numbers(cascade=wide[None]), WEAK, ["only"])
    assert found.verdict == "undecided"
    assert [finding.kind for finding in found.findings] == ["trust-weights-unsure"]
    assert say(found.findings[0]).startswith("These images do not tell whether M depends enough")
    lost = judge("m", "M", numbers(cascade=wide[None]), {"same": numbers()}, ["only"])
    assert lost.verdict == "not-better"
    assert [f.kind for f in lost.findings] == ["trust-not-better", "trust-weights-unsure"]


def test_a_baseline_that_is_matched_in_one_curve_is_enough() -> None:
    rival = numbers(insertion=np.full(200, 0.4))  # the same deletion curve
    found = judge("m", "M", numbers(), {**WEAK, "mean_face": rival}, ["only"])
    assert (found.verdict, found.against) == ("not-better", ("mean_face",))
    assert found.versus[1].lost == ("deletion",)
    assert short_verdict(found.verdict, found.against) == "not better than the mean face"
    assert short_verdict(found.verdict, found.against, "zh-Hant") == "不優於平均臉"
    assert short_verdict("not-better", ("edges", "centre", "random")) == (
        "not better than the edge detector or the centre Gaussian and 1 more"
    )


def test_faces_of_one_region_count_where_they_were_measured() -> None:
    def inside(share):
        return numbers(mass=np.full(50, share), pointing=np.ones(50))

    weak = {"weak": inside(0.3)}
    assert judge("m", "M", numbers(), WEAK, ["o"], region=(inside(0.5), weak)).verdict == "passes"
    found = judge("m", "M", numbers(), WEAK, ["o"], region=(inside(0.3), weak))
    assert found.verdict == "off-region"
    measured = judge_baseline("weak", "Weak", WEAK["weak"], inside(0.3))
    assert measured.mass.value == pytest.approx(0.3)
    assert judge_baseline("weak", "Weak", WEAK["weak"]).mass is None


def test_parts_of_several_networks_are_joined() -> None:
    both = joined([numbers(), numbers(mass=np.ones(3))])
    assert both.deletion.shape == (400,)
    assert both.cascade.shape == (1, 80)
    assert set(both.draw) == set(range(8))
    assert both.mass.shape == (3,)


def test_the_default_is_the_best_verdict_then_mass_then_the_cheaper() -> None:
    def made(name, verdict="passes", share=0.5, against=(), spread=0.05, seed=1):
        noise = spread * np.random.default_rng(seed).standard_normal(80)
        m = numbers(mass=share + noise, pointing=np.ones(80))
        whole = judge(
            name,
            name,
            m,
            {
                "weak": numbers(
                    deletion=np.full(200, 0.4), insertion=np.full(200, 0.4), mass=np.zeros(80)
                )
            },
            ["o"],
        )
        return dataclasses.replace(whole, verdict=verdict, against=against)

    passes = {"a": "single", "b": "single", "c": "many", "d": "many"}
    assert default_method([made("a"), made("b", share=0.6)], passes) == "b"
    worse = made("b", "not-better", 0.9, ("edges",))
    assert default_method([made("a"), worse], passes) == "a"
    two = made("a", "not-better", 0.9, ("edges", "random"))
    assert default_method([two, made("b", "not-better", 0.1, ("edges",))], passes) == "b"
    # Many passes must be clearly better, not just a little.
    assert default_method([made("a", seed=2), made("c", share=0.505)], passes) == "a"
    assert default_method([made("a", seed=2), made("c", share=0.6)], passes) == "c"
    # What another model says of a method counts as well.
    other = [{"a": ("passes", 0), "b": ("not-better", 2)}]
    assert default_method([made("a"), made("b", share=0.6)], passes, other) == "a"
    with pytest.raises(ValueError, match="no method"):
        default_method([], passes)
