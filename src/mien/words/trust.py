"""Sentences on whether to believe an attribution method, and the names of its rivals."""

from collections.abc import Mapping
from typing import Any

ENGLISH = {
    "trust-passes": (
        "{method} passes: its maps depend on the weights and on the labels, beat every baseline "
        "that knows nothing in deletion and insertion, and fall on the region that carries the "
        "label ({n} images)."
    ),
    "trust-passes-part": (
        "{method} passes the tests that were run: its maps depend on the weights and beat every "
        "baseline that knows nothing in deletion and insertion ({n} images)."
    ),
    "trust-weights": (
        "{method} depends too little on the weights: with every layer random its maps still "
        "have a rank correlation of {similarity} with the trained network's; maps of two "
        "different faces have {other_similarity}."
    ),
    "trust-labels": (
        "{method} depends too little on the labels: the maps of a network fitted to shuffled "
        "labels have a rank correlation of {similarity} with the trained network's; maps of two "
        "different faces have {other_similarity}."
    ),
    "trust-weights-unsure": (
        "These images do not tell whether {method} depends enough on the weights: with every layer "
        "random its maps have a rank correlation of {similarity} with the trained network's; maps "
        "of two different faces have {other_similarity}."
    ),
    "trust-labels-unsure": (
        "These images do not tell whether {method} depends enough on the labels: the maps of a "
        "network fitted to shuffled labels have a rank correlation of {similarity} with the "
        "trained network's; maps of two different faces have {other_similarity}."
    ),
    "trust-not-better": (
        "{method} is not better than the {baselines}: against the {worst} it gains "
        "{deletion_difference} of mean probability in deletion and {insertion_difference} in "
        "insertion ({n} images)."
    ),
    "trust-off-region": (
        "{method} does not find the region better than the {baselines}: where one region alone "
        "carries the label, {mass} of its attribution falls inside, and {worst_mass} of the "
        "{worst} ({n} drawn faces)."
    ),
}

CHINESE = {
    "trust-passes": (
        "{method}通過檢驗：其歸因圖取決於權重與標籤，在刪除與插入曲線上勝過每個一無所知的基準，"
        "並落在帶有標籤的區域內（{n} 張影像）。"
    ),
    "trust-passes-part": (
        "{method}通過已執行的檢驗：其歸因圖取決於權重，"
        "在刪除與插入曲線上勝過每個一無所知的基準（{n} 張影像）。"
    ),
    "trust-weights": (
        "{method}受權重影響太小：所有層都隨機化後，其歸因圖與訓練後網路的歸因圖之等級相關"
        "仍為 {similarity}；兩張不同臉的歸因圖之間為 {other_similarity}。"
    ),
    "trust-labels": (
        "{method}受標籤影響太小：以打亂的標籤訓練的網路，其歸因圖與訓練後網路的歸因圖之等級相關"
        "為 {similarity}；兩張不同臉的歸因圖之間為 {other_similarity}。"
    ),
    "trust-weights-unsure": (
        "這些影像無法判斷{method}是否足夠受權重影響：所有層都隨機化後，其歸因圖與訓練後網路的歸因圖"
        "之等級相關為 {similarity}；兩張不同臉的歸因圖之間為 {other_similarity}。"
    ),
    "trust-labels-unsure": (
        "這些影像無法判斷{method}是否足夠受標籤影響：以打亂的標籤訓練的網路，其歸因圖與訓練後網路的"
        "歸因圖之等級相關為 {similarity}；兩張不同臉的歸因圖之間為 {other_similarity}。"
    ),
    "trust-not-better": (
        "{method}並不優於{baselines}：相較於{worst}，平均機率在刪除時的優勢為 "
        "{deletion_difference}，在插入時為 {insertion_difference}（{n} 張影像）。"
    ),
    "trust-off-region": (
        "{method}並不比{baselines}更能找到該區域：當標籤只由單一區域決定時，"
        "其歸因有 {mass} 落在區域內，{worst}則有 {worst_mass}（{n} 張繪製的臉）。"
    ),
}

# The baselines as they stand in these sentences.
NAMES = {
    "en": {
        "centre": "centre Gaussian",
        "edges": "edge detector",
        "mean_face": "mean face",
        "blurred_noise": "blurred noise",
        "random": "random order",
    },
    "zh-Hant": {
        "centre": "中央高斯",
        "edges": "邊緣偵測器",
        "mean_face": "平均臉",
        "blurred_noise": "模糊雜訊",
        "random": "隨機順序",
    },
}

# How findings name a baseline, so that none is taken for a class of a user's.
PREFIX = "baseline:"

# The verdict in a few words, for a figure; {baselines} where it names them.
SHORT = {
    "en": {
        "passes": "passes",
        "undecided": "these images do not tell",
        "ignores-weights": "depends too little on the weights",
        "ignores-labels": "depends too little on the labels",
        "not-better": "not better than the {baselines}",
        "off-region": "does not find the region",
    },
    "zh-Hant": {
        "passes": "通過檢驗",
        "undecided": "這些影像無法判斷",
        "ignores-weights": "受權重影響太小",
        "ignores-labels": "受標籤影響太小",
        "not-better": "不優於{baselines}",
        "off-region": "找不到該區域",
    },
}


# Words of the figure.
FIGURE = {
    "en": {
        "title": "Whether to believe the maps",
        "subtitle": (
            "{model}   ·   {n} images, 95 % intervals   ·   orange tick: maps of two different "
            "faces"
        ),
        "deletion": "deletion\narea",
        "deletion-better": "lower is better",
        "insertion": "insertion\narea",
        "insertion-better": "higher is better",
        "weights": "similarity,\nrandom weights",
        "weights-better": "lower is better",
        "labels": "similarity,\nshuffled labels",
        "labels-better": "lower is better",
        "mass": "share in the region\nof the label",
        "mass-better": "higher is better",
        "nothing": "knows nothing of the model",
    },
    "zh-Hant": {
        "title": "歸因圖是否可信",
        "subtitle": "{model}   ·   {n} 張影像，95 % 區間   ·   橘色短線：兩張不同臉的歸因圖",
        "deletion": "刪除曲線\n下面積",
        "deletion-better": "越低越好",
        "insertion": "插入曲線\n下面積",
        "insertion-better": "越高越好",
        "weights": "相似度：\n隨機權重",
        "weights-better": "越低越好",
        "labels": "相似度：\n打亂標籤",
        "labels-better": "越低越好",
        "mass": "標籤區域內\n的占比",
        "mass-better": "越高越好",
        "nothing": "對模型一無所知",
    },
}


def baseline_name(key: str, language: str = "en") -> str:
    """The name behind ``baseline:edges``; empty for what is no baseline."""
    return NAMES[language].get(key.removeprefix(PREFIX), "") if key.startswith(PREFIX) else ""


def short_verdict(code: str, against: tuple[str, ...] = (), language: str = "en") -> str:
    """A verdict's code in a few words; of several baselines two are named."""
    names = [NAMES[language].get(name, name) for name in against]
    glue = {"en": (" or the ", " and {} more"), "zh-Hant": ("或", "等 {} 項")}[language]
    shown = glue[0].join(names[:2])
    if len(names) > 2:
        more = len(names) - 2 if language == "en" else len(names)
        shown += glue[1].format(more)
    return SHORT[language][code].format(baselines=shown)


def verdict_line(told: Mapping[str, Any] | None) -> str:
    """A line for a figure: the verdict (``verdict``, ``against``) on the method that it shows."""
    if told is None:
        return "trust: not tested on this model yet (mien trust)"
    return f"trust: {short_verdict(told['verdict'], tuple(told['against']))}"
