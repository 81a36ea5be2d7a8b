"""Sentences on the face-region ledger: what a map falls on, what hiding does, mouth and eyes.

A sentence comes in up to four forms: of one class or of all images (``-overall``), and for
regions in the plural (``-plural``), which Chinese does not tell apart.
"""


def _forms(
    texts: dict[str, str], scopes: tuple[str, str], plural: tuple[tuple[str, str], ...]
) -> dict[str, str]:
    """Every form of each sentence. scopes: of a class, of all images. plural: what to replace."""
    found = {}
    for kind, text in texts.items():
        many = text
        for one, more in plural:
            many = many.replace(one, more)
        for suffix, form in (("", text), ("-plural", many)):
            if suffix and kind == "no-region":
                continue
            found[f"{kind}{suffix}"] = scopes[0] + form
            found[f"{kind}{suffix}-overall"] = scopes[1] + form
    return found


_CELLS_EN = {
    "region-more": "{region} holds {times} times its share of the attribution.",
    "region-less": "{region} holds only {times} times its share of the attribution.",
    "no-region": "no region of the face stands out.",
    "hiding-lowers": (
        "hiding {region} changes the probability by {hidden_difference}, hiding as much at a "
        "random place by {random_difference}; the difference is {difference}, so its size is not "
        "the reason."
    ),
    "hiding-spares": (
        "hiding {region} changes the probability by {hidden_difference}, hiding as much at a "
        "random place by {random_difference}; the difference is {difference}: it matters less than "
        "a random place of its size."
    ),
    "map-alone": (
        "map and hiding disagree on {region}: it holds {times} times its share of the "
        "attribution, but hiding it costs hardly more than hiding as much at a random place: "
        "beyond that it changes the probability by {difference}."
    ),
    "map-against": (
        "map and hiding disagree on {region}: it holds {times} times its share of the "
        "attribution, but hiding it costs less than hiding as much at a random place: beyond that "
        "it changes the probability by {difference}."
    ),
    "hiding-alone": (
        "map and hiding disagree on {region}: it holds only {times} times its share of the "
        "attribution, but beyond what hiding as much at a random place does, hiding it changes the "
        "probability by {difference}."
    ),
    "right-more": (
        "{region} holds more of the attribution where the model is right: {right_times} times its "
        "share in {right_n} right predictions, {wrong_times} in {wrong_n} wrong ones "
        "(difference {gap_times})."
    ),
    "wrong-more": (
        "{region} holds more of the attribution where the model is wrong: {wrong_times} times its "
        "share in {wrong_n} wrong predictions, {right_times} in {right_n} right ones "
        "(difference {gap_times})."
    ),
}
_PLURAL_EN = (
    ("it holds", "they hold"),
    (" holds", " hold"),
    ("its share", "their share"),
    ("its size", "their size"),
    ("hiding it ", "hiding them "),
    ("so its ", "so their "),
    (": it matters", ": they matter"),
)

_HEADS_EN = {
    "looks-yes": "“The model looks at mouth and eyes” holds on these {n} images: ",
    "looks-among": (
        "“The model looks at mouth and eyes” holds in part on these {n} images, for it looks at "
        "{regions} as well: "
    ),
    "looks-part-no": (
        "“The model looks at mouth and eyes” holds in part on these {n} images, of {region} but "
        "not of {other-region}: "
    ),
    "looks-part-open": (
        "“The model looks at mouth and eyes” holds in part on these {n} images, of {region}; of "
        "{other-region} they do not tell: "
    ),
    "looks-part-split": (
        "“The model looks at mouth and eyes” holds in part on these {n} images, of {region}; of "
        "{other-region} map and hiding disagree: "
    ),
    "looks-no": "“The model looks at mouth and eyes” does not hold on these {n} images: ",
    "looks-split": (
        "Whether the model looks at mouth and eyes is open on these {n} images, for map and hiding "
        "disagree: "
    ),
    "looks-open": "Whether the model looks at mouth and eyes, these {n} images do not tell: ",
}
_MAP_EN = (
    "the mouth holds {mouth_times} times its share of the attribution, the eyes {eyes_times} times "
    "theirs, together {share} of the attribution on {area} of the picture"
)
_HIDING_EN = (
    "; beyond what hiding as much at a random place does, hiding the mouth changes the probability "
    "by {mouth_difference}, hiding the eyes by {eyes_difference}."
)

ENGLISH = {
    **_forms(_CELLS_EN, ("For {truth}, ", "Over all {n} images, "), _PLURAL_EN),
    **{kind: head + _MAP_EN + _HIDING_EN for kind, head in _HEADS_EN.items()},
    **{f"{kind}-by-map": head + _MAP_EN + "." for kind, head in _HEADS_EN.items()},
    "map-first": "By the map, mouth and eyes each come before {regions}.",
    "hiding-first": "By hiding, mouth and eyes each come before {regions}.",
    "map-not-first": (
        "The map puts {region} before {other-region}: {first_times} against {second_times} "
        "times the share of the area."
    ),
    "hiding-not-first": (
        "Hiding puts {region} before {other-region}: beyond what hiding as much at a random "
        "place does, the probability changes by {first_difference} against {second_difference}."
    ),
    "few-maps": "The {n} images of {truth} are too few to say which regions stand out.",
    "and": " and ",
    "region-brows": "the brows",
    "region-eyes": "the eyes",
    "region-nose": "the nose",
    "region-mouth": "the mouth",
    "region-cheeks": "the cheeks",
    "region-rest": "the rest of the picture",
}

_CELLS_ZH = {
    "region-more": "{region}所占的歸因是其面積占比的 {times} 倍。",
    "region-less": "{region}所占的歸因只有其面積占比的 {times} 倍。",
    "no-region": "臉上沒有任何區域特別突出。",
    "hiding-lowers": (
        "遮住{region}使機率改變 {hidden_difference}，在隨機位置遮住同樣大小的範圍則改變 "
        "{random_difference}；相差 {difference}，因此並非面積所致。"
    ),
    "hiding-spares": (
        "遮住{region}使機率改變 {hidden_difference}，在隨機位置遮住同樣大小的範圍則改變 "
        "{random_difference}；相差 {difference}：其影響不如同樣大小的隨機範圍。"
    ),
    "map-alone": (
        "歸因圖與遮擋對{region}的結論不一致：{region}所占的歸因是其面積占比的 {times} 倍，"
        "但與在隨機位置遮住同樣大小的範圍相比，遮住{region}的代價幾乎沒有更大，"
        "機率多改變 {difference}。"
    ),
    "map-against": (
        "歸因圖與遮擋對{region}的結論不一致：{region}所占的歸因是其面積占比的 {times} 倍，"
        "但遮住{region}的代價比在隨機位置遮住同樣大小的範圍還小，機率相差 {difference}。"
    ),
    "hiding-alone": (
        "歸因圖與遮擋對{region}的結論不一致：{region}所占的歸因只有其面積占比的 {times} 倍，"
        "但與在隨機位置遮住同樣大小的範圍相比，遮住{region}使機率多改變 {difference}。"
    ),
    "right-more": (
        "{region}在判對時占較多歸因：判對的 {right_n} 張中是其面積占比的 {right_times} 倍，"
        "判錯的 {wrong_n} 張中是 {wrong_times} 倍（相差 {gap_times}）。"
    ),
    "wrong-more": (
        "{region}在判錯時占較多歸因：判錯的 {wrong_n} 張中是其面積占比的 {wrong_times} 倍，"
        "判對的 {right_n} 張中是 {right_times} 倍（相差 {gap_times}）。"
    ),
}
_HEADS_ZH = {
    "looks-yes": "「模型看的是嘴和眼睛」在這 {n} 張影像上成立：",
    "looks-among": ("「模型看的是嘴和眼睛」在這 {n} 張影像上部分成立，因為它也看{regions}："),
    "looks-part-no": (
        "「模型看的是嘴和眼睛」在這 {n} 張影像上部分成立，對{region}成立，對{other-region}不成立："
    ),
    "looks-part-open": (
        "「模型看的是嘴和眼睛」在這 {n} 張影像上部分成立，對{region}成立，"
        "對{other-region}則看不出來："
    ),
    "looks-part-split": (
        "「模型看的是嘴和眼睛」在這 {n} 張影像上部分成立，對{region}成立，"
        "對{other-region}歸因圖與遮擋的結論不一致："
    ),
    "looks-no": "「模型看的是嘴和眼睛」在這 {n} 張影像上不成立：",
    "looks-split": ("這 {n} 張影像無法判定模型是否看嘴和眼睛，因為歸因圖與遮擋的結論不一致："),
    "looks-open": "這 {n} 張影像看不出模型是否看嘴和眼睛：",
}
_MAP_ZH = (
    "嘴所占的歸因是其面積占比的 {mouth_times} 倍，眼睛是 {eyes_times} 倍，"
    "兩者合占歸因的 {share}、畫面的 {area}"
)
_HIDING_ZH = (
    "；與在隨機位置遮住同樣大小的範圍相比，遮住嘴使機率多改變 {mouth_difference}，"
    "遮住眼睛多改變 {eyes_difference}。"
)

CHINESE = {
    **_forms(_CELLS_ZH, ("對於{truth}，", "就全部 {n} 張影像而言，"), ()),
    **{kind: head + _MAP_ZH + _HIDING_ZH for kind, head in _HEADS_ZH.items()},
    **{f"{kind}-by-map": head + _MAP_ZH + "。" for kind, head in _HEADS_ZH.items()},
    "map-first": "依歸因圖，嘴和眼睛都排在{regions}之前。",
    "hiding-first": "依遮擋結果，嘴和眼睛都排在{regions}之前。",
    "map-not-first": (
        "依歸因圖，{region}排在{other-region}之前：分別是面積占比的 {first_times} 倍與 "
        "{second_times} 倍。"
    ),
    "hiding-not-first": (
        "依遮擋結果，{region}排在{other-region}之前：與在隨機位置遮住同樣大小的範圍相比，"
        "機率分別多改變 {first_difference} 與 {second_difference}。"
    ),
    "few-maps": "{truth}只有 {n} 張影像，不足以說明哪些區域突出。",
    "and": "和",
    "region-brows": "眉毛",
    "region-eyes": "眼睛",
    "region-nose": "鼻子",
    "region-mouth": "嘴",
    "region-cheeks": "臉頰",
    "region-rest": "畫面其餘部分",
}
