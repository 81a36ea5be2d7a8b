"""The loss against sums written out by hand."""

import math

import numpy as np
import pytest
import torch
from lightning_fabric import Fabric

from mien.data.loader import Pictures
from mien.data.mixing import Mixed
from mien.errors import OptionError
from mien.train.objective import ObjectiveConfig, class_weights, training_loss
from mien.train.teachers import Teaching, prepare, soft_targets


def test_smoothed_loss_by_hand():
    logits = torch.tensor([[2.0, 0.0, -1.0], [0.5, 0.5, 3.0]])
    labels = torch.tensor([0, 1])
    smoothing = 0.3
    expected = 0.0
    for row, label in zip(logits.tolist(), labels.tolist(), strict=True):
        log_sum = math.log(sum(math.exp(z) for z in row))
        target = [smoothing / 3 + (1 - smoothing) * (k == label) for k in range(3)]
        expected -= sum(t * (z - log_sum) for t, z in zip(target, row, strict=True))
    loss = training_loss(logits, labels, ObjectiveConfig(label_smoothing=smoothing), None)
    assert loss.item() == pytest.approx(expected / 2, rel=1e-6)


def test_generalised_cross_entropy_by_hand():
    logits = torch.tensor([[2.0, 0.0, -1.0], [0.5, 0.5, 3.0]], dtype=torch.float64)
    labels, weights, smoothing, q = torch.tensor([0, 1]), [0.5, 1.0, 2.0], 0.3, 0.7
    expected = 0.0
    for row, label in zip(logits.tolist(), labels.tolist(), strict=True):
        total = sum(math.exp(z) for z in row)
        for k, z in enumerate(row):
            target = smoothing / 3 + (1 - smoothing) * (k == label)
            expected += target * weights[k] * (1 - (math.exp(z) / total) ** q) / q
    config = ObjectiveConfig(label_smoothing=smoothing, robust_q=q)
    loss = training_loss(logits, labels, config, torch.tensor(weights, dtype=torch.float64))
    assert loss.item() == pytest.approx(expected / 2, rel=1e-12)


def test_generalised_cross_entropy_lies_between_cross_entropy_and_absolute_error():
    torch.manual_seed(0)
    logits, labels = torch.randn(40, 7, dtype=torch.float64), torch.randint(0, 7, (40,))
    weights = torch.rand(7, dtype=torch.float64)

    def loss(q, weights=None):
        config = ObjectiveConfig(label_smoothing=0.1, robust_q=q)
        return training_loss(logits, labels, config, weights).item()

    assert loss(1e-9) == pytest.approx(loss(0.0), rel=1e-7)
    assert loss(1e-9, weights) == pytest.approx(loss(0.0, weights), rel=1e-7)
    own = torch.softmax(logits, 1)[torch.arange(40), labels]
    bare = training_loss(logits, labels, ObjectiveConfig(label_smoothing=0, robust_q=1.0), None)
    assert bare.item() == pytest.approx((1 - own).mean().item())


def test_an_unlikely_label_pulls_less_than_in_cross_entropy():
    """The gradient is that of cross-entropy times the label's probability to the power of q."""
    logits = torch.tensor([[1.0, -2.0, 0.5]], dtype=torch.float64, requires_grad=True)
    config = ObjectiveConfig(label_smoothing=0.0, robust_q=0.7)
    training_loss(logits, torch.tensor([1]), config, None).backward()
    p = np.exp([1.0, -2.0, 0.5]) / np.exp([1.0, -2.0, 0.5]).sum()
    np.testing.assert_allclose(logits.grad[0], p[1] ** 0.7 * (p - [0, 1, 0]), atol=1e-12)


def test_class_weights_by_hand():
    labels = torch.tensor([0] * 8 + [1] * 2)
    assert class_weights(labels, 2, 0.0) is None
    # 1/8 and 1/2, scaled so that the mean over the ten images is 1: 8·w/8 + 2·w/2 = 2w = 10.
    torch.testing.assert_close(class_weights(labels, 2, 1.0), torch.tensor([0.625, 2.5]))
    half = class_weights(labels, 2, 0.5)
    assert half is not None
    assert (half[labels].mean()).item() == pytest.approx(1)
    assert (half[1] / half[0]).item() == pytest.approx(2)  # (8/2)^0.5


def test_loss_of_a_batch_is_the_mean_of_its_parts():
    torch.manual_seed(0)
    logits, labels = torch.randn(12, 4), torch.randint(0, 4, (12,))
    weights = torch.tensor([0.5, 1.0, 2.0, 4.0])
    config = ObjectiveConfig()
    whole = training_loss(logits, labels, config, weights)
    parts = [
        training_loss(logits[k : k + 4], labels[k : k + 4], config, weights) for k in (0, 4, 8)
    ]
    torch.testing.assert_close(whole, torch.stack(parts).mean())


@pytest.mark.parametrize(
    "wrong",
    [{"label_smoothing": 1.0}, {"robust_q": -0.1}, {"class_weight_power": -0.1},
     {"sampling_power": 2.0}, {"teacher_share": 1.1}, {"temperature": 0.0},
     {"teachers_see": "never"}],
)  # fmt: skip
def test_configuration_is_checked(wrong):
    with pytest.raises(OptionError):
        ObjectiveConfig(**wrong)


def test_gradient_of_the_loss_is_probability_minus_target():
    logits = torch.tensor([[1.0, -2.0, 0.5]], dtype=torch.float64, requires_grad=True)
    training_loss(logits, torch.tensor([2]), ObjectiveConfig(label_smoothing=0.1), None).backward()
    z = np.exp([1.0, -2.0, 0.5])
    target = np.array([0.1 / 3, 0.1 / 3, 0.9 + 0.1 / 3])
    np.testing.assert_allclose(logits.grad[0].numpy(), z / z.sum() - target, atol=1e-12)


def softmax(row, temperature=1.0):
    powers = [math.exp(z / temperature) for z in row]
    return [power / sum(powers) for power in powers]


def test_mixed_loss_by_hand():
    logits, labels = torch.tensor([[2.0, 0.0, -1.0], [0.5, 0.5, 3.0]]), torch.tensor([0, 1])
    mixed = Mixed(torch.zeros(0), torch.tensor([1, 0]), torch.tensor([0.25, 0.0]))
    config = ObjectiveConfig(label_smoothing=0.0)
    first, second = (softmax(row) for row in logits.tolist())
    expected = -(0.75 * math.log(first[0]) + 0.25 * math.log(first[1])) - math.log(second[1])
    loss = training_loss(logits, labels, config, None, mixed=mixed)
    assert loss.item() == pytest.approx(expected / 2, rel=1e-6)


def test_distillation_by_hand():
    student, other = torch.tensor([[1.0, 0.0, -2.0]]), torch.tensor([[3.0, 1.0, 0.5]])
    third = torch.tensor([[0.0, 2.0, -1.0]])
    temperature, share = 4.0, 0.7

    class Teacher(torch.nn.Module):
        def __init__(self, logits):
            super().__init__()
            self.logits = logits

        def forward(self, image):
            return self.logits

    target = soft_targets([Teacher(other), Teacher(third)], torch.zeros(1), temperature)
    ours = softmax(student[0].tolist(), temperature)
    both = [softmax(z[0].tolist(), temperature) for z in (other, third)]
    mean = [(a + b) / 2 for a, b in zip(*both, strict=True)]
    torch.testing.assert_close(target, torch.tensor([mean]))
    divergence = sum(p * math.log(p / q) for p, q in zip(mean, ours, strict=True))
    label = -math.log(softmax(student[0].tolist())[2])
    config = ObjectiveConfig(label_smoothing=0.0, teacher_share=share, temperature=temperature)
    loss = training_loss(student, torch.tensor([2]), config, None, teacher_NK=target)
    expected = (1 - share) * label + share * temperature**2 * divergence
    assert loss.item() == pytest.approx(expected, rel=1e-5)


def test_a_student_like_its_teacher_has_nothing_to_learn_from_it():
    logits = torch.randn(5, 4, requires_grad=True)
    target = torch.softmax(logits.detach() / 2, dim=1)
    config = ObjectiveConfig(teacher_share=1.0, temperature=2.0)
    loss = training_loss(logits, torch.zeros(5, dtype=torch.long), config, None, teacher_NK=target)
    loss.backward()
    assert loss.item() == pytest.approx(0, abs=1e-6)
    assert float(logits.grad.abs().max()) < 1e-6


def test_teachers_are_never_changed():
    teacher = torch.nn.Sequential(torch.nn.Linear(3, 2), torch.nn.BatchNorm1d(2),
                                  torch.nn.Dropout(0.9)).train()  # fmt: skip
    (ready,) = prepare([teacher], torch.device("cpu"))
    before = {key: value.clone() for key, value in ready.state_dict().items()}
    first = soft_targets([ready], torch.ones(4, 3), 2.0)
    assert torch.equal(first, soft_targets([ready], torch.ones(4, 3), 2.0))  # no dropout
    assert not first.requires_grad
    assert all(torch.equal(value, before[key]) for key, value in ready.state_dict().items())


class Left(torch.nn.Module):
    """Says how bright the left half is against the right one; two classes."""

    def forward(self, image):
        halves = image.float().chunk(2, dim=3)
        return torch.stack([half.mean(dim=(1, 2, 3)) / 50 for half in halves], dim=1)


@pytest.mark.parametrize("see", ["batch", "once"])
def test_teachers_see_the_batch_or_each_picture_once(see):
    generator = torch.Generator().manual_seed(0)
    images = torch.randint(0, 256, (6, 1, 4, 4), dtype=torch.uint8, generator=generator)
    index = torch.tensor([5, 3, 0, 1])
    pictures = Pictures(images, index, torch.zeros(4, dtype=torch.long))
    config = ObjectiveConfig(teachers_see=see, temperature=3.0)
    teaching = Teaching([Left()], config, pictures, Fabric(accelerator="cpu"))
    chosen = torch.tensor([2, 0])
    batch = torch.full((2, 1, 4, 4), 7, dtype=torch.uint8)  # as if augmented beyond recognition
    found = teaching(batch, chosen)
    if see == "batch":
        torch.testing.assert_close(found, torch.full((2, 2), 0.5))
        return
    own = torch.softmax(Left()(images[[0, 5]]) / 3, dim=1)
    torch.testing.assert_close(found, (own + own.flip(1)) / 2)  # the mirror swaps the halves
    mixed = Mixed(batch.float(), torch.tensor([1, 0]), torch.tensor([0.25, 0.0]))
    blended = teaching(mixed.images, chosen, mixed)
    torch.testing.assert_close(blended[0], 0.75 * found[0] + 0.25 * found[1])
    torch.testing.assert_close(blended[1], found[1])


class Corner(torch.nn.Module):
    """Says how bright the pixel at the top left is against that at the top right; two classes."""

    def __init__(self, *, any_size):
        super().__init__()
        self.any_size = any_size

    def forward(self, image):
        assert self.any_size or image.shape[2:] == (12, 12)
        return torch.stack([image[:, 0, 0, k].float() / 50 for k in (0, -1)], dim=1)


def test_teachers_that_take_parts_see_five_and_their_mirror_images_by_hand():
    """Of 12 pixels 11 are a part; the middle one begins at 0 since half of 1 rounds down."""
    generator = torch.Generator().manual_seed(0)
    images = torch.randint(0, 256, (3, 1, 12, 12), dtype=torch.uint8, generator=generator)
    pictures = Pictures(images, torch.arange(3), torch.zeros(3, dtype=torch.long))
    config = ObjectiveConfig(teachers_see="crops", temperature=2.0)
    networks = [Corner(any_size=True), Corner(any_size=False)]
    teaching = Teaching(networks, config, pictures, Fabric(accelerator="cpu"))
    found = teaching(images, torch.arange(3))
    for n in range(3):
        pixel = images[n, 0].double() / 100

        def said(left, right):
            z = np.exp([left, right])
            return (z / z.sum() + (z / z.sum())[::-1]) / 2  # its mirror image swaps the two

        five = [said(pixel[y, x], pixel[y, x + 10])
                for y, x in ((0, 0), (0, 0), (0, 1), (1, 0), (1, 1))]  # fmt: skip
        whole = said(pixel[0, 0], pixel[0, 11])
        expected = (np.mean(five, axis=0) + whole) / 2
        np.testing.assert_allclose(found[n].numpy(), expected, atol=1e-6)
