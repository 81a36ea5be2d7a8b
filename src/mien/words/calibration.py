"""Sentences on how far to believe a confidence, and on answering "unsure"."""

ENGLISH = {
    "too-sure": "Its confidence is too high by {difference} on average over {n} images.",
    "too-sure-where": (
        "Its confidence is too high by {difference} on average over {n} images: "
        "where it says about {stated}, it is right in {right} of {images}."
    ),
    "too-unsure": "Its confidence is too low by {difference} on average over {n} images.",
    "too-unsure-where": (
        "Its confidence is too low by {difference} on average over {n} images: "
        "where it says about {stated}, it is right in {right} of {images}."
    ),
    "uneven": (
        "Its confidence is right on average, but not image by image: off by {error} "
        "(root mean square over bins; {n} images, {p} for a calibrated one)."
    ),
    "unsmoothed": (
        "Its labels were smoothed by {smoothing} in training, which makes every class likelier "
        "than it is; that is taken back before the temperature."
    ),
    "tempered": (
        "With a temperature of {temperature} its calibration error goes from {before} to {after}, "
        "measured on images that did not fit it."
    ),
    "tempered-too-sure": (
        "With a temperature of {temperature} its confidence is too high by {difference} "
        "on images that did not fit it."
    ),
    "tempered-too-unsure": (
        "With a temperature of {temperature} its confidence is too low by {difference} "
        "on images that did not fit it."
    ),
    "surest": (
        "On the {share} of images that it is surest of, it is right in {accuracy}: "
        "{difference} more than the {full} on all."
    ),
    "unsure": (
        'If it answers "unsure" below a confidence of {threshold}, at most {error} of its answers '
        "are wrong (95 % sure); chosen and measured on different images, it answers {coverage} "
        "of them and is wrong in {realised}."
    ),
}

CHINESE = {
    "too-sure": "在 {n} 張影像上，它的信心平均高估了 {difference}。",
    "too-sure-where": (
        "在 {n} 張影像上，它的信心平均高估了 {difference}："
        "它說約 {stated} 時，{images} 張中有 {right} 正確。"
    ),
    "too-unsure": "在 {n} 張影像上，它的信心平均低估了 {difference}。",
    "too-unsure-where": (
        "在 {n} 張影像上，它的信心平均低估了 {difference}："
        "它說約 {stated} 時，{images} 張中有 {right} 正確。"
    ),
    "uneven": (
        "它的信心平均而言正確，但就個別影像則不然：偏差 {error}"
        "（各信心區間的均方根；{n} 張影像，若已校準則 {p}）。"
    ),
    "unsmoothed": ("訓練時標籤平滑為 {smoothing}，會使每一類的機率偏高；套用溫度之前先將其還原。"),
    "tempered": (
        "以溫度 {temperature} 校準後，校準誤差由 {before} 變為 {after}，"
        "以未用於擬合溫度的影像測得。"
    ),
    "tempered-too-sure": (
        "以溫度 {temperature} 校準後，在未用於擬合溫度的影像上，它的信心高估了 {difference}。"
    ),
    "tempered-too-unsure": (
        "以溫度 {temperature} 校準後，在未用於擬合溫度的影像上，它的信心低估了 {difference}。"
    ),
    "surest": (
        "在它最有把握的 {share} 影像上，它有 {accuracy} 正確：比全部影像的 {full} 多 {difference}。"
    ),
    "unsure": (
        "若信心低於 {threshold} 時回答「不確定」，它的答案最多有 {error} 錯誤（95 % 把握）；"
        "以不同的影像選定與測量，它回答其中 {coverage}，而有 {realised} 錯誤。"
    ),
}
