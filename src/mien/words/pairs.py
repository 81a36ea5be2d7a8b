"""Sentences on a confused pair of classes and on suspect labels."""

_IN_EN = "In the {n} images of {truth} taken for {predicted}, "
_IN_ZH = "在 {n} 張被誤判為{predicted}的{truth}影像中，"
_BOTH_EN = (
    "hiding {region} changes the probability of {truth} less that of {predicted} by "
    "{hidden_difference}, hiding as much at a random place by {random_difference} "
    "(difference {difference})."
)
_BOTH_ZH = (
    "遮住{region}使{truth}與{predicted}的機率之差改變 {hidden_difference}，"
    "在隨機位置遮住同樣大小的範圍則改變 {random_difference}（相差 {difference}）。"
)

ENGLISH = {
    "pair-region": (
        _IN_EN + "{region} holds {times} times its share of what tells the two classes apart."
    ),
    "pair-region-plural": (
        _IN_EN + "{region} hold {times} times their share of what tells the two classes apart."
    ),
    "pair-misleads": _IN_EN + "{region} speaks for {predicted}: " + _BOTH_EN,
    "pair-misleads-plural": _IN_EN + "{region} speak for {predicted}: " + _BOTH_EN,
    "pair-helps": _IN_EN + "{region} speaks for {truth}: " + _BOTH_EN,
    "pair-helps-plural": _IN_EN + "{region} speak for {truth}: " + _BOTH_EN,
    "pair-open": _IN_EN + "no region stands out.",
    "pair-few": (
        "{n} images of {truth} were taken for {predicted}, too few to say what the model looked at."
    ),
    "pair-suspects": _IN_EN + "{count} labels are suspect: look at these images.",
    "suspects": (
        "Confident learning doubts the labels of {count} of {n} images, {rate}; "
        "a list to look at, not a count of wrong labels."
    ),
    "suspects-most": "Most often it suggests {predicted} instead of {truth}: {count} times.",
    "suspects-none": "Confident learning doubts none of the labels of {n} images.",
}

CHINESE = {
    "pair-region": _IN_ZH + "{region}占區分這兩個類別之歸因的比例，是其面積占比的 {times} 倍。",
    "pair-misleads": _IN_ZH + "{region}支持{predicted}：" + _BOTH_ZH,
    "pair-helps": _IN_ZH + "{region}支持{truth}：" + _BOTH_ZH,
    "pair-open": _IN_ZH + "沒有任何區域特別突出。",
    "pair-few": "只有 {n} 張{truth}影像被誤判為{predicted}，不足以說明模型看的是什麼。",
    "pair-suspects": _IN_ZH + "有 {count} 張的標籤可疑，請檢視這些影像。",
    "suspects": (
        "信心學習懷疑 {n} 張影像中 {count} 張的標籤，占 {rate}；"
        "這是待檢視的清單，不是錯誤標籤的數目。"
    ),
    "suspects-most": "最常見的是以{predicted}取代{truth}：{count} 次。",
    "suspects-none": "信心學習對 {n} 張影像的標籤都不懷疑。",
}
CHINESE |= {
    f"{kind}-plural": CHINESE[kind] for kind in ("pair-region", "pair-misleads", "pair-helps")
}
