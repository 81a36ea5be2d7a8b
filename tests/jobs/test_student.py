"""Planted slips are caught and named; right submissions pass; wild code does no harm."""

import time

import pytest

from mien.errors import OptionError
from mien.jobs.student import TEMPLATE, check_student

HEAD = "import numpy as np\n"
CONV = """
def conv_output_shape(width, height, out_channels, kernel, stride, padding):
    f = lambda w, i: (w + 2 * padding[i] - kernel[i]) // stride[i] + 1
    return f(width, 0), f(height, 1), out_channels
"""
NORM = """
def batchnorm_backward(x, gamma, beta, eps, dout):
    m = len(x)
    mu, var = x.mean(0), x.var(0)
    x_hat = (x - mu) / np.sqrt(var + eps)
    dx_hat = dout * gamma
    dvar = np.sum(dx_hat * (x - mu), 0) * -0.5 * (var + eps) ** -1.5
    dmean = np.sum(dx_hat * -1 / np.sqrt(var + eps), 0) + dvar * np.mean(-2 * (x - mu), 0)
    dx = dx_hat / np.sqrt(var + eps) + dvar * 2 * (x - mu) / m + dmean / m
    return dict(dx_hat=dx_hat, dvar=dvar, dmean=dmean, dx=dx, dgamma=np.sum(dout * x_hat, 0),
                dbeta=dout.sum(0))
"""
SOFTMAX = """
def softmax_cross_entropy_backward(z, y):
    e = np.exp(z - z.max(-1, keepdims=True))
    return e / e.sum(-1, keepdims=True) - y
"""
RIGHT = HEAD + CONV + NORM + SOFTMAX


def judge(tmp_path, code, **options):
    file = tmp_path / "mine.py"
    file.write_text(code)
    return check_student(file, **options)


def test_a_right_submission_passes(tmp_path):
    report = judge(tmp_path, RIGHT)
    assert report.wrong == 0, report.findings
    assert len(report.functions) == 3
    assert len(report.findings) == 1 + 6 + 1
    for part, count in ((CONV, 1), (NORM, 6), (SOFTMAX, 1)):
        alone = judge(tmp_path, HEAD + part)
        assert alone.wrong == 0
        assert len(alone.findings) == count


SLIPS = [
    ("** -1.5", "** -0.5", "dvar", "not −1/2"),
    ("** -1.5", "** 1", "dvar", "not 1:"),
    ("** -1.5", "** 1.5", "dvar", "not 3/2"),
    ("(x - mu) / m + dmean / m", "(x - mu) / m", "dx", "the whole term through ∂l/∂μ_B is missing"),
    ("(x - mu) / m + dmean / m", "(x - mu) / m + dmean", "dx",
     "1/m is missing in the term through ∂l/∂μ_B"),
    ("(x - mu) / m + dmean / m", "(x - mu) + dmean / m", "dx",
     "1/m is missing in the term through ∂l/∂σ²_B"),
    ("(x - mu) / m + dmean / m", "(x - mu) + dmean", "dx", "1/m is missing in both"),
    (" + dvar * 2 * (x - mu) / m", "", "dx", "the whole term through ∂l/∂σ²_B is missing"),
    ("* -1 / np.sqrt(var + eps), 0)", "/ np.sqrt(var + eps), 0)", "dmean", "the sign is wrong"),
    ("dx_hat = dout * gamma", "dx_hat = dout", "dx_hat", "γ is missing"),
    ("dout * x_hat", "dout * x", "dgamma", "multiplies x, not x̂"),
    (" // stride[i]", " / stride[i]", "shape", "the floor is forgotten"),
    ("(w + 2 * padding[i] - kernel[i]) // stride[i] + 1",
     "-(-(w + 2 * padding[i] - kernel[i]) // stride[i]) + 1", "shape", "rounded up"),
    ("2 * padding", "padding", "shape", "padding counts twice"),
    ("stride[i] + 1", "stride[i]", "shape", "the + 1 is missing"),
    ("return e / e.sum(-1, keepdims=True) - y",
     "p = e / e.sum(-1, keepdims=True)\n    return -y / np.maximum(p, 1e-300) * p * (1 - p)",
     "dz = ∂L/∂z", "off-diagonal terms of the softmax Jacobian are left out"),
    ("return e / e.sum(-1, keepdims=True) - y", "return y - e / e.sum(-1, keepdims=True)",
     "dz = ∂L/∂z", "the sign is wrong"),
    ("z - z.max(-1, keepdims=True)", "z", "dz = ∂L/∂z", "not stable for large logits"),
]  # fmt: skip


def test_every_planted_slip_is_caught_and_named(tmp_path):
    for old, new, item, hint in SLIPS:
        assert RIGHT.count(old) >= 1, old
        report = judge(tmp_path, RIGHT.replace(old, new))
        wrong = [f for f in report.findings if f.verdict == "wrong"]
        assert len(wrong) == 1, (new, report.findings)
        assert wrong[0].item.startswith(item), (new, wrong)
        assert hint in wrong[0].hint, (new, wrong)
        assert wrong[0].detail
        # What only follows from the slip is not called a slip of its own.
        assert {f.verdict for f in report.findings} <= {"right", "wrong", "follows"}, new


def test_a_follow_up_is_told_from_a_slip(tmp_path):
    report = judge(tmp_path, RIGHT.replace("** -1.5", "** -0.5"))
    verdicts = {f.item.split()[0]: f.verdict for f in report.findings if f.item}
    assert verdicts["dvar"] == "wrong"
    assert verdicts["dx"] == "follows"
    assert verdicts["dmean"] == "right"  # its term with dvar is 0


def test_other_right_answers_are_accepted_and_named(tmp_path):
    mean = RIGHT.replace("keepdims=True) - y", "keepdims=True) / len(z) - y / len(z)")
    finding = judge(tmp_path, mean).findings[-1]
    assert finding.right
    assert "mean over the batch" in finding.hint
    course = (
        HEAD
        + """
def softmax_cross_entropy_backward(z, y):
    e = np.exp(z - z.max(-1, keepdims=True))
    p = e / e.sum(-1, keepdims=True)
    J = p[..., :, None] * (np.eye(z.shape[-1]) - p[..., None, :])
    r = (p - y) / np.maximum(p * (1 - p), 1e-300)
    return np.einsum("...t,...tj->...j", r, J)
"""
    )
    finding = judge(tmp_path, course).findings[-1]
    assert finding.right, finding
    assert "summed losses" in finding.hint
    single = (
        HEAD
        + """
def softmax_cross_entropy_backward(z, y):
    assert z.ndim == 1
    e = np.exp(z - z.max())
    return e / e.sum() - y
"""
    )
    finding = judge(tmp_path, single).findings[-1]
    assert finding.right
    assert "single sample" in finding.hint


@pytest.mark.parametrize(
    ("code", "told"),
    [
        ("def conv_output_shape(:\n", "SyntaxError"),
        ("import nothing_of_that_name\n", "nothing_of_that_name"),
        ("def conv_output_shape(w, h, c, k, s, p):\n    return w / 0\n", "ZeroDivisionError"),
        ("def conv_output_shape(w, h, c, k, s, p):\n    return None\n", "returns nothing"),
        ("def conv_output_shape(w, h, c, k, s, p):\n    return 'abc'\n", "not an array"),
        ("def conv_output_shape(w):\n    return 1\n", "TypeError"),
        ("def batchnorm_backward(x, g, b, e, d):\n    return dict(dx=x)\n", "missing in the dict"),
        ("def batchnorm_backward(x, g, b, e, d):\n    return x\n", "not a dict"),
        ("def conv_output_shape(*a):\n    raise SystemExit(3)\n", "SystemExit"),
        ("import os\ndef conv_output_shape(*a):\n    os._exit(7)\n", "exit code 7"),
        ("import os\ndef conv_output_shape(*a):\n    os.abort()\n", "SIGABRT"),
        ("def conv_output_shape(*a):\n    return bytearray(10**11)\n", "MemoryError"),
        (
            "print('x' * 10**6)\ndef conv_output_shape(*a):\n    return [0] * 10**6\n",
            "array of shape",
        ),
    ],
)
def test_errors_are_shown_as_the_learners(tmp_path, code, told):
    report = judge(tmp_path, code)
    assert report.wrong >= 1
    assert told in report.findings[0].hint, report.findings


def test_the_line_of_the_error_is_shown(tmp_path):
    code = "def conv_output_shape(w, h, c, k, s, p):\n    return w + k\n"
    hint = judge(tmp_path, code).findings[0].hint
    assert hint.startswith("your code: TypeError")
    assert "line 2: return w + k" in hint


def test_endless_loops_end_at_the_limit_and_keep_what_came_before(tmp_path):
    code = RIGHT + "\ndef batchnorm_backward(*a):\n    while True: pass\n"
    began = time.monotonic()
    report = judge(tmp_path, code, limit=8)
    assert time.monotonic() - began < 60
    assert report.functions == ("conv_output_shape",)
    assert report.findings[0].right
    assert "did not finish within 8 s" in report.findings[-1].hint
    assert report.findings[-1].function == "batchnorm_backward"


def test_template_is_python_and_asks_to_be_filled(tmp_path):
    compile(TEMPLATE, "template", "exec")
    with pytest.raises(OptionError, match="defines none of"):
        judge(tmp_path, TEMPLATE)
    with pytest.raises(OptionError, match="no such file"):
        check_student(tmp_path / "none.py")
