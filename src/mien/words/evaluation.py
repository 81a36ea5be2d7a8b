"""Sentences on confusion, recall and the comparison of two models."""

ENGLISH = {
    "missed": (
        "{truth} is the class most often missed{among}: {rate} of {n} images; "
        "next is {next} with {next_rate} of {next_n}."
    ),
    "missed-one-of": (
        "The class most often missed{among} is {candidates}; "
        "these images do not tell which of them."
    ),
    "pair": "{truth} is taken for {predicted} in {rate} of {n} images.",
    "partner": (
        "{truth} is taken for {predicted} more often than for any other class: "
        "{count} times, against {next_count} for {next}."
    ),
    "direction": (
        "{truth} is taken for {predicted} more often than {predicted} for {truth}: "
        "{rate} of {n} images against {back_rate} of {back_n}."
    ),
    "better": (
        "{better} is right more often than {worse} on these {n} images: by {difference} "
        "({only_better} right by {better} alone, {only_worse} by {worse} alone; "
        "exact McNemar test, {p})."
    ),
    "undecided": (
        "These {n} images do not tell {a} and {b} apart: the accuracy of {a} minus "
        "that of {b} is {difference} "
        "({only_a} right by {a} alone, {only_b} by {b} alone; exact McNemar test, {p})."
    ),
    "same": "{a} and {b} are right on exactly the same of these {n} images.",
    "among": " of the {among} classes that have images",
    "or": " or ",
    "comma": ", ",
    "points": "points",
}

CHINESE = {
    "missed": (
        "{truth}是{among}最常被漏判的類別：{n} 張影像中有 {rate}；"
        "其次是{next}，{next_n} 張中有 {next_rate}。"
    ),
    "missed-one-of": "{among}最常被漏判的類別是{candidates}；這些影像無法分辨是哪一個。",
    "pair": "{truth}被誤判為{predicted}：{n} 張影像中有 {rate}。",
    "partner": (
        "{truth}最常被誤判為{predicted}，多於其他任何類別："
        "{count} 次，其次是{next}，{next_count} 次。"
    ),
    "direction": (
        "{truth}被誤判為{predicted}，比{predicted}被誤判為{truth}更常發生："
        "{n} 張影像中有 {rate}，反之 {back_n} 張中有 {back_rate}。"
    ),
    "better": (
        "在這 {n} 張影像上，{better} 比 {worse} 更常正確：相差 {difference}"
        "（{only_better} 張只有 {better} 正確，{only_worse} 張只有 {worse} 正確；"
        "McNemar 精確檢定，{p}）。"
    ),
    "undecided": (
        "這 {n} 張影像無法分出 {a} 與 {b} 的高下：{a} 的準確率減去 {b} 的準確率為 {difference}"
        "（{only_a} 張只有 {a} 正確，{only_b} 張只有 {b} 正確；McNemar 精確檢定，{p}）。"
    ),
    "same": "{a} 與 {b} 在這 {n} 張影像中答對的完全相同。",
    "among": "有影像的 {among} 個類別中",
    "or": "或",
    "comma": "、",
    "points": "個百分點",
}
