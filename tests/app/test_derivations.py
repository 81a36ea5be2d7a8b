"""The page of derivations: valid, complete in both languages, every number recomputed."""

import re
import xml.etree.ElementTree as ET
from pathlib import Path

import pytest
import torch

from mien.app.derivations import page
from mien.app.mathml import mathml
from mien.errors import OptionError
from mien.theory import examples
from mien.theory.derivations import LANGUAGES, SECTIONS


def parsed(language):
    text = page(language)
    assert text.startswith("<!doctype html>\n")
    return ET.fromstring(text.removeprefix("<!doctype html>\n"))


def numbers_on(root):
    return {
        div.get("id"): [(float(d.get("value")), d.text) for d in div.iter("data")]
        for div in root.iter("div")
    }


def by_autograd():
    """Every quantity of the worked examples, without any of mien's formulas."""
    d = examples
    x, dy = torch.tensor(d.X, requires_grad=True), torch.tensor(d.DOUT)
    gamma, beta = (torch.tensor(v, dtype=torch.float64, requires_grad=True)
                   for v in (d.GAMMA, d.BETA))  # fmt: skip
    mean = x.mean()
    var = ((x - mean) ** 2).mean()
    x_hat = (x - mean) / (var + d.EPSILON).sqrt()
    for inner in (mean, var, x_hat):
        inner.retain_grad()
    y = gamma * x_hat + beta
    y.backward(dy)
    z, t = torch.tensor(d.Z, requires_grad=True), torch.tensor(d.Y)
    p = z.softmax(0)
    p.retain_grad()
    loss = torch.nn.functional.cross_entropy(z[None], t[None])
    (dz,) = torch.autograd.grad(loss, z)
    (dp,) = torch.autograd.grad(-(torch.special.xlogy(t, p)).sum(), p, retain_graph=True)
    each = torch.autograd.functional.jacobian(
        lambda v: -(torch.special.xlogy(t, v.softmax(0)) +
                    torch.special.xlogy(1 - t, 1 - v.softmax(0))), z.detach())  # fmt: skip
    losses = -(torch.special.xlogy(t, p) + torch.special.xlogy(1 - t, 1 - p))
    jacobian = torch.autograd.functional.jacobian(lambda v: v.softmax(0), z.detach())
    own = each.diagonal()
    layer = torch.nn.Conv1d(1, 1, d.KERNEL, d.STRIDE, d.PADDING)
    size = layer(torch.zeros(1, 1, d.WIDTH)).shape[2]
    found = {
        "shape": {"W": d.WIDTH, "k": d.KERNEL, "s": d.STRIDE, "p": d.PADDING, "size": size,
                  "quotient": (d.WIDTH + 2 * d.PADDING - d.KERNEL) / d.STRIDE},
        "batchnorm": {"x": x, "gamma": gamma, "beta": beta, "eps": d.EPSILON,
                      "dy": dy, "mean": mean, "var": var, "x_hat": x_hat, "y": y,
                      "dx_hat": x_hat.grad, "dvar": var.grad, "dmean": mean.grad, "dx": x.grad,
                      "dgamma": gamma.grad, "dbeta": beta.grad,
                      "gamma_new": gamma - d.RATE * gamma.grad,
                      "beta_new": beta - d.RATE * beta.grad},
        "softmax": {"z": z, "t": t, "p": p, "jacobian": jacobian, "loss": loss, "dp": dp, "dz": dz},
        "course": {"losses": losses, "dLt_dp": own / jacobian.diagonal(),
                   "diagonal": jacobian.diagonal(), "dLt_dz": own, "cross": each.sum(0) - own,
                   "dz_of_sum": each.sum(0)},
    }  # fmt: skip
    return {
        f"{section}.{name}": torch.as_tensor(value, dtype=torch.float64).detach().ravel().tolist()
        for section, all_of in found.items()
        for name, value in all_of.items()
    }


@pytest.mark.parametrize("language", LANGUAGES)
def test_every_number_on_the_page_is_recomputed(language):
    shown, recomputed = numbers_on(parsed(language)), by_autograd()
    assert shown.keys() == recomputed.keys()
    for key, pairs in shown.items():
        assert [value for value, _ in pairs] == pytest.approx(recomputed[key], rel=1e-9, abs=1e-12)
        for value, text in pairs:
            assert float(text.replace("−", "-")) == pytest.approx(value, rel=1e-5)


def test_numbers_follow_the_inputs(monkeypatch):
    before = numbers_on(parsed("en"))
    monkeypatch.setattr(examples, "GAMMA", 3.0)
    monkeypatch.setattr(examples, "WIDTH", 60)
    after, recomputed = numbers_on(parsed("en")), by_autograd()
    changed = {key for key in before if before[key] != after[key]}
    assert {"batchnorm.dx", "batchnorm.dvar", "batchnorm.dx_hat", "shape.size"} <= changed
    for key, pairs in after.items():
        assert [value for value, _ in pairs] == pytest.approx(recomputed[key], rel=1e-9, abs=1e-12)


@pytest.mark.parametrize("language", LANGUAGES)
def test_pages_are_complete_and_need_no_network(language):
    root = parsed(language)
    assert root.get("lang") == language
    steps = sum(len(section.steps) for section in SECTIONS)
    assert len(list(root.iter("math"))) == steps
    assert len(list(root.iter("h2"))) == len(SECTIONS)
    text = page(language)
    assert "<script" not in text
    assert not re.search(r"(src|href)=|url\(", text)
    chinese = len(re.findall(r"[\u4e00-\u9fff]", text))
    assert (chinese > 300) == (language == "zh-Hant")
    # A number in a sentence would not be recomputed: sentences name no results.
    for section in SECTIONS:
        for step in section.steps:
            assert not re.search(r"\d\.\d{2}", step.text[language])


@pytest.mark.parametrize(
    ("language", "file"), [("en", "maths.html"), ("zh-Hant", "maths.zh-Hant.html")]
)
def test_the_docs_are_this_page(language, file):
    """But for the last bits of numbers, which may differ between machines."""
    written = (Path(__file__).parents[2] / "docs" / file).read_text(encoding="utf-8")
    exact = re.compile(r'<data value="[^"]*">')
    assert exact.sub("<data>", written) == exact.sub("<data>", page(language)), (
        f"write it again: mien check --derivations docs/{file} --lang {language}"
    )


def test_another_language_is_refused():
    with pytest.raises(OptionError, match="one of en, zh-Hant"):
        page("de")


def test_mathml_by_hand():
    assert mathml(r"\frac{a}{2}^2").endswith(
        "<msup><mfrac><mrow><mi>a</mi></mrow><mrow><mn>2</mn></mrow></mfrac><mn>2</mn></msup>"
        "</mrow></math>"
    )
    power = mathml(r"(x - 1)^2")  # of the whole bracket, not of its last sign
    assert power.endswith(
        '<msup><mrow><mo stretchy="false">(</mo><mi>x</mi><mo>−</mo><mn>1</mn>'
        '<mo stretchy="false">)</mo></mrow><mn>2</mn></msup></mrow></math>'
    )
    assert "<munder><mo>∑</mo><mrow><mi>i</mi></mrow></munder>" in mathml(r"\sum_{i} x_i")
    assert "<msubsup><mi>σ</mi><mi>B</mi><mn>2</mn></msubsup>" in mathml(r"\sigma_B^2")
    for wrong in (r"\nonsense", "{a", "(a", "a)", "a^", "a_b_c", "a # b", r"\frac{a}"):
        with pytest.raises(ValueError, match=r"known|closed|empty|soon"):
            mathml(wrong)
