"""The card of one model file: titles, columns and sentences; what it is for stands in ``card``."""

ENGLISH = {
    "model-card": "Model card: {name}",
    "model-card-model": "The model",
    "model-card-network": (
        "Network {architecture}, {parameters} parameters; takes a face crop of {size}×{size} "
        "pixels in {colour}."
    ),
    "model-card-grey": "grey",
    "model-card-rgb": "colour",
    "model-card-recipe": "Recipe {recipe}, {epochs} epochs, seed {seed}.",
    "model-card-teachers": "It also learnt from the answers of {teachers} other models.",
    "model-card-training": (
        "Trained on {training} images; {copies} more have a pixel-identical copy among those that "
        "it is measured on and were left out."
    ),
    "model-card-protocol": (
        "Trained on the training images alone. Its recipe, temperature and thresholds were chosen "
        "on the same {n} validation images that its results are from, so these are a little too "
        "good. Intervals are 95 % and hold for images like these; another seed moves the accuracy "
        "as well."
    ),
    "model-card-private": "FER2013's PrivateTest took no part in any of this.",
    "model-card-flip": "Every answer is the average over the picture and its mirror image.",
    "model-card-no-flip": (
        "Results are from one look at each picture unless they say otherwise. In photographs mien "
        "looks at each face ten times."
    ),
    "model-card-looks": (
        "With {views} looks at each, as in photographs: {without} without a copy in training, "
        "{whole} on the whole split; calibration error {ece}, and {sure} right among the surest "
        "80 %. The tables are from one look."
    ),
    "model-card-results": "Results on {split}",
    "model-card-images": "images",
    "model-card-whole": "whole split",
    "model-card-without": "without a copy in training",
    "model-card-number": "number",
    "model-card-accuracy": "accuracy",
    "model-card-macro-f1": "macro-F1",
    "model-card-classes": "By class, without copies",
    "model-card-class": "class",
    "model-card-recall": "recall",
    "model-card-precision": "precision",
    "model-card-f1": "F1",
    "model-card-confusions": "Known confusions",
    "model-card-pair": "label → prediction",
    "model-card-rate": "rate",
    "model-card-confidence": "Its confidence",
    "model-card-calibration": (
        "With its temperature of {temperature} the calibration error is {ece}, in 15 bins on {n} "
        "images, cross-fitted."
    ),
    "model-card-unsmoothed": (
        "The label smoothing of {smoothing} that it was trained with is taken back before that."
    ),
    "model-card-thresholds": (
        'It can answer "unsure": thresholds for {count} wanted error rates lie in the file.'
    ),
    "model-card-novelty": "What is no face",
    "model-card-accepted": (
        "It lets through {accepted} of validation faces and refuses {refused} of pictures that are "
        "no faces, every kind weighing the same; the kinds {kept} were never shown to it."
    ),
    "model-card-no-novelty": "It cannot tell that a picture shows no face.",
    "model-card-kind": "kind",
    "model-card-refused": "refused",
    "model-card-robustness": "On worse pictures ({n} images; the loss is paired)",
    "model-card-change": "change",
    "model-card-drop": "points lost",
    "model-card-blur": "Gaussian blur, deviation {strength} px",
    "model-card-size": "shrunk to {strength}×{strength} px and enlarged",
    "model-card-rotation": "turned by {strength}°",
    "model-card-dark": "darker, ×{strength}",
    "model-card-bright": "brighter, ×{strength}",
    "model-card-occlusion": "grey square over {strength} of the side",
    "model-card-speed": (
        "One face takes {single} ms by itself and {batch} ms in batches of 64, by onnxruntime on "
        "{cores} cores ({processor}; {load} processes wanted to run when it was measured)."
    ),
    "model-card-licence": "Licence",
    "model-card-licence-1": (
        "mien's code is under Apache-2.0. FER2013's pictures belong to others; they were gathered "
        "by an image search for a competition in 2013, and no terms are known that say what may "
        "be done with weights trained on them. Whether these weights may be used commercially is "
        "therefore unclear; take advice before you do."
    ),
    "model-card-licence-other": (
        "The weights stand under what the owners of their training pictures allow; find that out "
        "before use."
    ),
    "model-card-is-not": (
        "FER2013 is no record of what people felt: many faces are actors' or posed, whoever "
        "labelled them saw one small grey picture, and nothing is known of the age, sex or "
        "origin of the people shown. A result on it says nothing about any group of people, nor "
        "about video, profile views, or faces found by another detector."
    ),
    "model-card-unmeasured": "The file says nothing of its results; 'mien evaluate' measures them.",
    "model-card-file": "Checksum {checksum}.",
}

CHINESE = {
    "model-card": "模型說明卡：{name}",
    "model-card-model": "模型",
    "model-card-network": (
        "網路 {architecture}，{parameters} 個參數；輸入為 {size}×{size} 像素的{colour}人臉裁切圖。"
    ),
    "model-card-grey": "灰階",
    "model-card-rgb": "彩色",
    "model-card-recipe": "訓練配方 {recipe}，{epochs} 個 epoch，隨機種子 {seed}。",
    "model-card-teachers": "它也學習了另外 {teachers} 個模型的答案。",
    "model-card-training": (
        "以 {training} 張影像訓練；另有 {copies} 張與評估影像的像素完全相同，已排除。"
    ),
    "model-card-protocol": (
        "僅以訓練影像訓練。配方、溫度與門檻是在產生這些結果的同 {n} 張驗證影像上選定的，"
        "因此結果略為偏高。區間為 95 %，適用於與此相似的影像；換一個隨機種子，準確率也會變動。"
    ),
    "model-card-private": "FER2013 的 PrivateTest 未曾動用。",
    "model-card-flip": "每個答案都是影像與其鏡像的平均。",
    "model-card-no-flip": (
        "除非另有說明，以下結果只看每張影像一次；在照片中，mien 會把每張臉看十次。"
    ),
    "model-card-looks": (
        "如在照片中那樣每張看 {views} 次：訓練集中無相同影像者 {without}，整個切分 {whole}；"
        "校準誤差 {ece}；最有把握的 80 % 中有 {sure} 正確。下表只看一次。"
    ),
    "model-card-results": "在 {split} 上的結果",
    "model-card-images": "影像",
    "model-card-whole": "整個切分",
    "model-card-without": "訓練集中無相同影像者",
    "model-card-number": "數量",
    "model-card-accuracy": "準確率",
    "model-card-macro-f1": "macro-F1",
    "model-card-classes": "各類別（不含重複影像）",
    "model-card-class": "類別",
    "model-card-recall": "召回率",
    "model-card-precision": "精確率",
    "model-card-f1": "F1",
    "model-card-confusions": "已知的混淆",
    "model-card-pair": "標籤 → 預測",
    "model-card-rate": "比率",
    "model-card-confidence": "信心",
    "model-card-calibration": (
        "以溫度 {temperature} 校準，校準誤差為 {ece}（15 個區間，{n} 張影像，交叉擬合）。"
    ),
    "model-card-unsmoothed": "在此之前，先還原訓練時 {smoothing} 的標籤平滑。",
    "model-card-thresholds": "它可以回答「不確定」：檔案中有 {count} 個目標錯誤率的門檻。",
    "model-card-novelty": "非人臉",
    "model-card-accepted": (
        "它接受 {accepted} 的驗證人臉，拒絕 {refused} 的非人臉圖片（各種類權重相同）；"
        "其中 {kept} 從未給它看過。"
    ),
    "model-card-no-novelty": "它無法分辨圖片中沒有人臉。",
    "model-card-kind": "種類",
    "model-card-refused": "拒絕",
    "model-card-robustness": "在較差的影像上（{n} 張；配對比較）",
    "model-card-change": "變化",
    "model-card-drop": "減少的百分點",
    "model-card-blur": "高斯模糊，標準差 {strength} 像素",
    "model-card-size": "縮至 {strength}×{strength} 像素再放大",
    "model-card-rotation": "旋轉 {strength}°",
    "model-card-dark": "變暗，×{strength}",
    "model-card-bright": "變亮，×{strength}",
    "model-card-occlusion": "灰色方塊遮住邊長的 {strength}",
    "model-card-speed": (
        "單獨一張臉需 {single} 毫秒，每批 64 張時每張 {batch} 毫秒，以 onnxruntime 在 {cores} "
        "個核心上測得（{processor}；測量時有 {load} 個行程要執行）。"
    ),
    "model-card-licence": "授權",
    "model-card-licence-1": (
        "mien 的程式碼採 Apache-2.0 授權。FER2013 的圖片屬於他人，於 2013 "
        "年為競賽由圖片搜尋蒐集；就目前所知，沒有條款說明以其訓練的權重可作何用。"
        "因此這些權重能否用於商業並不明確，使用前請徵詢專業意見。"
    ),
    "model-card-licence-other": "權重的使用取決於訓練圖片所有者的許可；使用前請先查明。",
    "model-card-is-not": (
        "FER2013 並不記錄人的感受：許多是演員或擺拍的臉，標註者只看到一張小小的灰階圖片，"
        "且被拍攝者的年齡、性別與來歷皆不可知。其上的結果不能說明任何人群，"
        "也不能說明影片、側臉，或以其他偵測器找到的人臉。"
    ),
    "model-card-unmeasured": "檔案未記載結果；請用 'mien evaluate' 測量。",
    "model-card-file": "校驗碼 {checksum}。",
}
