"""The report of runs compared."""

ENGLISH = {
    # Runs compared.
    "report-compare-accuracy": "Accuracy",
    "report-compare-history": "Histories",
    "report-compare-classes": "Classes",
    "report-compare-confusion": "Confusion",
    "report-compare-lede": "Each run against {a}, on the same {n} images.",
    "report-compare-rule": (
        "Exact McNemar tests on the images that one run alone has right. They compare these "
        "trained models; two recipes also differ by their seeds."
    ),
    "report-compare-history-caption": "Validation loss and accuracy of the runs.",
    "report-compare-end": (
        "{name}: {epochs} epochs, validation loss {loss}, accuracy {accuracy} % at the last"
    ),
    "report-compare-recalls": "Recall of each class: {a} minus {b}",
    "report-compare-classes-none": (
        "No class is recognised better by {a} or by {b} beyond what chance would do."
    ),
    "report-compare-confusion-about": (
        "Points by which the first run takes a class for another oftener than the second: green "
        "where the first does, purple where the second does. A dot marks what exact McNemar tests "
        "support, corrected for all cells (Holm)."
    ),
    "report-compare-pair": "{a} minus {b}",
    "report-compare-cell": "{truth} taken for {predicted}: {difference} ({a} against {b})",
    "report-runs": "runs",
    "report-accuracy-a": "the first",
    "report-accuracy-b": "the other",
    "report-difference": "difference",
    "class-better": (
        "{truth} is recognised better by {better} than by {worse}: by {difference} of {n} images."
    ),
}

CHINESE = {
    "report-compare-accuracy": "準確率",
    "report-compare-history": "訓練過程",
    "report-compare-classes": "各類別",
    "report-compare-confusion": "混淆",
    "report-compare-lede": "各次訓練與 {a} 相比，使用相同的 {n} 張影像。",
    "report-compare-rule": (
        "以只有其中一個模型答對的影像進行 McNemar 精確檢定。比較的是訓練好的模型；"
        "兩種配方之間還有隨機種子造成的差異。"
    ),
    "report-compare-history-caption": "各次訓練的驗證損失與準確率。",
    "report-compare-end": "{name}：{epochs} 輪，最後一輪驗證損失 {loss}、準確率 {accuracy} %",
    "report-compare-recalls": "各類別的召回率：{a} 減 {b}",
    "report-compare-classes-none": "{a} 與 {b} 在各類別的辨識上，差異均不超過隨機起伏。",
    "report-compare-confusion-about": (
        "第一個模型比第二個更常把某類當成另一類的百分點：綠色為第一個較多，紫色為第二個較多。"
        "圓點表示 McNemar 精確檢定支持（對所有格子以 Holm 法校正）。"
    ),
    "report-compare-pair": "{a} 減 {b}",
    "report-compare-cell": "{truth}被當成{predicted}：{difference}（{a} 對 {b}）",
    "report-runs": "訓練",
    "report-accuracy-a": "前者",
    "report-accuracy-b": "後者",
    "report-difference": "差異",
    "class-better": "{better} 對{truth}的辨識優於 {worse}：相差 {difference}，共 {n} 張影像。",
}
