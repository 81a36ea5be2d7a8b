r"""The derivations: each step's formula, its reason in two languages, and its numbers.

One source for the report and the docs. Formulas are in the part of TeX that ``app.mathml`` knows;
numbers are not written here but computed by the closed forms from a worked example's inputs.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from mien.theory.examples import (
    batchnorm_numbers,
    course_numbers,
    shape_numbers,
    softmax_numbers,
)

F64 = NDArray[np.float64]
LANGUAGES = ("en", "zh-Hant")


@dataclass(frozen=True, kw_only=True)
class Step:
    """One line of a derivation. text: by language. shows: names among the section's numbers."""

    formula: str
    text: Mapping[str, str]
    shows: tuple[str, ...] = ()


@dataclass(frozen=True, kw_only=True)
class Section:
    """One derivation. numbers: computes every named quantity of the worked example."""

    key: str
    title: Mapping[str, str]
    intro: Mapping[str, str]
    numbers: Callable[[], dict[str, F64]]
    steps: tuple[Step, ...]


def _two(en: str, zh: str) -> dict[str, str]:
    return {"en": en, "zh-Hant": zh}


SHAPE = Section(
    key="shape",
    title=_two("The shape after a convolution", "卷積後的形狀"),
    intro=_two(
        "A window of k elements slides over W elements with p of padding on each side, s at a "
        "time.",
        "長度為 k 的視窗在 W 個元素上滑動，兩側各填補 p 個元素，每次移動 s 個。",
    ),
    numbers=shape_numbers,
    steps=(
        Step(
            formula=r"W + 2 p",
            text=_two("Padding lengthens the input on both sides.", "填補使輸入的兩側變長。"),
            shows=("W", "p"),
        ),
        Step(
            formula=r"\frac{W + 2 p - k}{s}",
            text=_two(
                "From the first position to the last there are W + 2p − k elements, walked in "
                "steps of s.",
                "從第一個位置到最後一個位置有 W + 2p − k 個元素，以步幅 s 前進。",
            ),
            shows=("k", "s", "quotient"),
        ),
        Step(
            formula=r"W′ = \lfloor \frac{W + 2 p - k}{s} \rfloor + 1",
            text=_two(
                "Only whole steps count (the floor), and n steps make n + 1 positions. With "
                "dilation d, k becomes d(k − 1) + 1.",
                "只計完整的步（向下取整），而 n 步有 n + 1 個位置。膨脹率為 d 時，"
                "k 改為 d(k − 1) + 1。",
            ),
            shows=("size",),
        ),
    ),
)

BATCHNORM = Section(
    key="batchnorm",
    title=_two("The gradients of batch normalisation", "批次正規化的梯度"),
    intro=_two(
        "One feature over a batch of m = 4 (Ioffe & Szegedy 2015). The upstream gradient is not "
        "constant: with a constant one, ∂l/∂x would be 0 and hide mistakes.",
        "一個特徵、批次大小 m = 4（Ioffe 與 Szegedy，2015）。上游梯度不取常數：若為常數，"
        "∂l/∂x 會是 0，錯誤就看不出來。",
    ),
    numbers=batchnorm_numbers,
    steps=(
        Step(
            formula=r"\mu_B = \frac{1}{m} \sum_{i} x_i \quad "
            r"\sigma_B^2 = \frac{1}{m} \sum_{i} (x_i - \mu_B)^2",
            text=_two("Mean and variance of the batch.", "批次的平均值與變異數。"),
            shows=("x", "mean", "var"),
        ),
        Step(
            formula=r"\hat{x}_i = \frac{x_i - \mu_B}{\sqrt{\sigma_B^2 + \epsilon}} \quad "
            r"y_i = \gamma \hat{x}_i + \beta",
            text=_two("Normalise, then scale and shift.", "先正規化，再縮放與平移。"),
            shows=("gamma", "beta", "eps", "x_hat", "y"),
        ),
        Step(
            formula=r"\frac{\partial l}{\partial \hat{x}_i} = "
            r"\frac{\partial l}{\partial y_i} \cdot \gamma",
            text=_two("y depends on x̂ through γ alone.", "y 只透過 γ 取決於 x̂。"),
            shows=("dy", "dx_hat"),
        ),
        Step(
            formula=r"\frac{\partial l}{\partial \sigma_B^2} = \sum_{i} "
            r"\frac{\partial l}{\partial \hat{x}_i} (x_i - \mu_B) \cdot "
            r"\frac{-1}{2} (\sigma_B^2 + \epsilon)^{-3/2}",
            text=_two(
                "Every x̂ᵢ holds the variance, hence the sum; the derivative of v^(−1/2) is "
                "−1/2 · v^(−3/2).",
                "每個 x̂ᵢ 都含有變異數，所以要加總；v^(−1/2) 的導數是 −1/2 · v^(−3/2)。",
            ),
            shows=("dvar",),
        ),
        Step(
            formula=r"\frac{\partial l}{\partial \mu_B} = \sum_{i} "
            r"\frac{\partial l}{\partial \hat{x}_i} \cdot "
            r"\frac{-1}{\sqrt{\sigma_B^2 + \epsilon}} + \frac{\partial l}{\partial \sigma_B^2} "
            r"\cdot \frac{\sum_{i} -2 (x_i - \mu_B)}{m}",
            text=_two(
                "Directly, and through the variance; the second term is 0, because deviations "
                "from a mean sum to 0.",
                "直接的影響，加上經由變異數的影響；第二項為 0，因為離均差的總和是 0。",
            ),
            shows=("dmean",),
        ),
        Step(
            formula=r"\frac{\partial l}{\partial x_i} = \frac{\partial l}{\partial \hat{x}_i} "
            r"\cdot \frac{1}{\sqrt{\sigma_B^2 + \epsilon}} + "
            r"\frac{\partial l}{\partial \sigma_B^2} \cdot \frac{2 (x_i - \mu_B)}{m} + "
            r"\frac{\partial l}{\partial \mu_B} \cdot \frac{1}{m}",
            text=_two(
                "xᵢ acts in three ways: by itself, through the variance and through the mean.",
                "xᵢ 的影響有三條路徑：本身、經由變異數、經由平均值。",
            ),
            shows=("dx",),
        ),
        Step(
            formula=r"\frac{\partial l}{\partial \gamma} = \sum_{i} "
            r"\frac{\partial l}{\partial y_i} \cdot \hat{x}_i \quad "
            r"\frac{\partial l}{\partial \beta} = \sum_{i} \frac{\partial l}{\partial y_i}",
            text=_two("γ and β are shared by the whole batch.", "γ 與 β 由整個批次共用。"),
            shows=("dgamma", "dbeta"),
        ),
        Step(
            formula=r"\gamma \leftarrow \gamma - \eta \frac{\partial l}{\partial \gamma} \quad "
            r"\beta \leftarrow \beta - \eta \frac{\partial l}{\partial \beta}",
            text=_two(
                "One step of gradient descent with learning rate η = 0.1.",
                "學習率 η = 0.1 的一步梯度下降。",
            ),
            shows=("gamma_new", "beta_new"),
        ),
    ),
)

SOFTMAX = Section(
    key="softmax",
    title=_two("Softmax with cross-entropy", "Softmax 與交叉熵"),
    intro=_two(
        "Logits z of three classes; the target y is the first class.",
        "三個類別的 logits z；目標 y 是第一類。",
    ),
    numbers=softmax_numbers,
    steps=(
        Step(
            formula=r"\hat{y}_t = \frac{\exp(z_t)}{\sum_{j} \exp(z_j)} \quad "
            r"L = - \sum_{t} y_t \log \hat{y}_t",
            text=_two(
                "Subtracting the largest z first changes nothing and keeps exp finite.",
                "先減去最大的 z，結果不變，且 exp 不會溢位。",
            ),
            shows=("z", "t", "p", "loss"),
        ),
        Step(
            formula=r"\frac{\partial \hat{y}_t}{\partial z_j} = "
            r"\hat{y}_t (\delta_{t j} - \hat{y}_j)",
            text=_two(
                "The full Jacobian: every output depends on every logit.",
                "完整的雅可比矩陣：每個輸出都取決於每個 logit。",
            ),
            shows=("jacobian",),
        ),
        Step(
            formula=r"\frac{\partial L}{\partial \hat{y}_t} = - \frac{y_t}{\hat{y}_t}",
            text=_two("The loss by itself.", "損失本身的導數。"),
            shows=("dp",),
        ),
        Step(
            formula=r"\frac{\partial L}{\partial z_j} = \sum_{t} - \frac{y_t}{\hat{y}_t} \cdot "
            r"\hat{y}_t (\delta_{t j} - \hat{y}_j) = \hat{y}_j \sum_{t} y_t - y_j "
            r"= \hat{y}_j - y_j",
            text=_two(
                "Because the targets sum to 1: one-hot, soft or smoothed alike.",
                "因為目標的總和為 1：單熱、軟性或平滑的標籤都一樣。",
            ),
            shows=("dz",),
        ),
    ),
)

COURSE = Section(
    key="course",
    title=_two("The course's form, one loss a class", "課程的形式：每個類別各有一個損失"),
    intro=_two(
        "The same logits, but K losses, each of one class.",
        "同樣的 logits，但有 K 個損失，每個類別一個。",
    ),
    numbers=course_numbers,
    steps=(
        Step(
            formula=r"L_t = - [ y_t \log \hat{y}_t + (1 - y_t) \log (1 - \hat{y}_t) ]",
            text=_two("The loss of class t alone.", "單獨類別 t 的損失。"),
            shows=("losses",),
        ),
        Step(
            formula=r"\frac{\partial L_t}{\partial \hat{y}_t} = "
            r"\frac{\hat{y}_t - y_t}{\hat{y}_t (1 - \hat{y}_t)} \quad "
            r"\frac{\partial \hat{y}_t}{\partial z_t} = \hat{y}_t (1 - \hat{y}_t)",
            text=_two(
                "For its own logit the Jacobian's diagonal is enough.",
                "對自己的 logit，只需要雅可比矩陣的對角線。",
            ),
            shows=("dLt_dp", "diagonal"),
        ),
        Step(
            formula=r"\frac{\partial L_t}{\partial z_t} = \hat{y}_t - y_t",
            text=_two(
                "The same numbers as ∂L/∂z above, but K derivatives of K different losses.",
                "與上面的 ∂L/∂z 數值相同，但這是 K 個不同損失的 K 個導數。",
            ),
            shows=("dLt_dz",),
        ),
        Step(
            formula=r"\frac{\partial}{\partial z_j} \sum_{t} L_t = (\hat{y}_j - y_j) - \hat{y}_j "
            r"\sum_{t \ne j} \frac{\hat{y}_t - y_t}{1 - \hat{y}_t}",
            text=_two(
                "The sum of all L_t depends on z_j through every ŷ_t. Its gradient has these cross "
                "terms besides, so ŷ − y is not the gradient of the summed loss; it is that of the "
                "cross-entropy L.",
                "所有 L_t 的總和透過每個 ŷ_t 取決於 z_j，其梯度多了這些交叉項；所以 ŷ − y "
                "不是總和損失的梯度，而是交叉熵 L 的梯度。",
            ),
            shows=("cross", "dz_of_sum"),
        ),
    ),
)

SECTIONS = (SHAPE, BATCHNORM, SOFTMAX, COURSE)
