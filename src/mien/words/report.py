"""The report's interface: headings, captions, labels, and sentences that frame its numbers."""

from mien.words import report_compare, report_sections, report_tables

ENGLISH = {
    # The page.
    "report-title": "{name}: report",
    "report-kicker": "mien report",
    "report-skip": "Skip to the summary",
    "report-contents": "Contents",
    "report-undefined": "undefined",
    "report-seconds": "{n} s",
    "report-minutes": "{n} min",
    "report-hours": "{n} h",
    "report-figure": "Figure {n}",
    "report-files": "SVG and PNG: figures/{file}",
    "report-missing": "Not made for this run yet. This command makes it:",
    "report-stale": "What lies in the run is of another model. This command makes it anew:",
    "report-damaged": "Cannot be read ({what}). This command makes it anew:",
    "report-no-font": (
        "No font with Chinese glyphs is installed here, so the PNG figures are labelled in English."
    ),
    "report-made": (
        "Made by mien {version} from {run}. Brackets are 95 % intervals. The page needs no network."
    ),
    # Empty: notes stand on the page as they are.
    "report-notes-fold": "",
    "report-more-sentences": "{n} more sentences",
    "report-missing-short": "Not tested yet; the section on the maps names the command.",
    "report-split-images": "{n} {split} images",
    # Summary.
    "report-summary": "Summary",
    "report-lede": "Network {architecture}, data {data}, evaluated on {splits}.",
    "report-accuracy": "Accuracy",
    "report-accuracy-about": "of {n} images are given their label.",
    "report-accuracy-about-copies": (
        "of the {n} images that have no copy in training are given their label; of all {whole_n}, "
        "{whole}."
    ),
    "report-missed": "Most often missed",
    "report-missed-untold": "These images do not tell which class is missed most often.",
    "report-worst": "Worst confusion",
    "report-worst-untold": (
        "No two classes are confused more often than evenly spread errors would do."
    ),
    "report-ece": "Calibration error",
    "report-ece-none": "Too few labelled images to measure it.",
    "report-ece-fine": (
        "Stated and observed accuracy differ no more than chance would make them ({n} images)."
    ),
    "report-trust": "Trust in the maps",
    "report-trust-about": "The verdict on {method}, by the tests under the maps.",
    "report-trained": "Training took",
    "report-trained-about": (
        "{epochs} epochs on {n} images, {validation} for validation; {hardware} cores."
    ),
}

CHINESE = {
    "report-title": "{name}：報告",
    "report-kicker": "mien 報告",
    "report-skip": "跳到摘要",
    "report-contents": "目錄",
    "report-undefined": "未定義",
    "report-seconds": "{n} 秒",
    "report-minutes": "{n} 分鐘",
    "report-hours": "{n} 小時",
    "report-figure": "圖 {n}",
    "report-files": "SVG 與 PNG：figures/{file}",
    "report-missing": "這次訓練還沒有這項結果。以下指令可以產生：",
    "report-stale": "資料夾中的結果屬於另一個模型。以下指令可以重新產生：",
    "report-damaged": "無法讀取（{what}）。以下指令可以重新產生：",
    "report-no-font": "這部電腦沒有安裝中文字型，因此 PNG 圖的標示為英文。",
    "report-made": "由 mien {version} 依 {run} 製作。方括號為 95 % 區間。本頁不需要網路。",
    "report-notes-fold": "技術附註（英文）",
    "report-more-sentences": "另外 {n} 句",
    "report-missing-short": "尚未檢驗；指令見歸因圖一節。",
    "report-split-images": "{n} 張{split}影像",
    "report-summary": "摘要",
    "report-lede": "網路 {architecture}，資料 {data}，評估於{splits}。",
    "report-accuracy": "準確率",
    "report-accuracy-about": "的影像得到正確的標籤，共 {n} 張。",
    "report-accuracy-about-copies": (
        "的影像得到正確的標籤（{n} 張，訓練資料中沒有相同影像）；全部 {whole_n} 張則為 {whole}。"
    ),
    "report-missed": "最常被漏判",
    "report-missed-untold": "這些影像無法分辨哪個類別最常被漏判。",
    "report-worst": "最嚴重的混淆",
    "report-worst-untold": "沒有任何兩類的混淆多於錯誤平均分布時的程度。",
    "report-ece": "校準誤差",
    "report-ece-none": "有標籤的影像太少，無法測量。",
    "report-ece-fine": "所稱與實際的準確率之差不超過隨機起伏（{n} 張影像）。",
    "report-trust": "歸因圖的可信度",
    "report-trust-about": "對 {method} 的判定，依據歸因圖下方的檢驗。",
    "report-trained": "訓練時間",
    "report-trained-about": "{n} 張影像訓練 {epochs} 輪，{validation} 張驗證；{hardware} 核心。",
}

for _part in (report_sections, report_tables, report_compare):
    ENGLISH |= _part.ENGLISH
    CHINESE |= _part.CHINESE
