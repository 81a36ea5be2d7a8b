"""The words on annotated pictures and clips, and on the figure of a clip."""

ENGLISH = {
    "figure-unsure": "{name}?",
    "figure-timeline": "What each face shows over time",
    "figure-timeline-about": "{name}: {seconds} s, {frames} frames; running means",
    "figure-face": "face {id}",
    "figure-seconds-axis": "seconds",
    "figure-unsure-band": "grey below: unsure",
    "figure-more-faces": "and {n} more faces, seen for less long",
}

CHINESE = {
    "figure-unsure": "{name}？",
    "figure-timeline": "每張臉隨時間的表情",
    "figure-timeline-about": "{name}：{seconds} 秒，{frames} 個影格；滑動平均",
    "figure-face": "臉 {id}",
    "figure-seconds-axis": "秒",
    "figure-unsure-band": "下方灰色：不確定",
    "figure-more-faces": "另有 {n} 張臉，出現時間較短",
}
