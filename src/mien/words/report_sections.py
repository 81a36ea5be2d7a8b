"""The report's six sections and what follows: headings, captions, framing sentences."""

ENGLISH = {
    # 1 to 3.
    "report-architecture": "Architecture",
    "report-architecture-about": (
        "{layers} layers, {parameters} parameters and {macs} multiply-accumulates an image; "
        "{input} goes in, {output} comes out, and the layers' outputs take {mib} MiB."
    ),
    "report-architecture-caption": (
        "The network from input to output. A face's height stands for the image's, its depth for "
        "the channels; numbers are channels×height×width."
    ),
    "report-history": "Training history",
    "report-history-caption": (
        "Loss, accuracy and learning rate over the epochs; the dotted line marks the epoch whose "
        "weights are the model. Both curves are measured alike, without augmentation or dropout."
    ),
    "report-chosen": (
        "The model is that of epoch {epoch}, the last: validation loss {loss} and accuracy "
        "{accuracy} %, training loss {train_loss} and accuracy {train_accuracy} %."
    ),
    "report-fit-rule": (
        "Overfitting is said where validation loss rose from its lowest while training loss fell, "
        "underfitting where both still fell over the last tenth of the epochs; each by more than "
        "chance (95 % intervals from the spread of single images' losses, shared among the epochs)."
    ),
    "report-confusion": "Confusion",
    "report-confusion-intro": (
        "Rows are the labels, columns the predictions: the share of the row, and the count. Choose "
        "a cell to see its images."
    ),
    "report-matrix": "Confusion matrix",
    "report-cell-right": "{truth}, predicted right: {count} of {n} images, {share}",
    "report-cell-wrong": "{truth} taken for {predicted}: {count} of {n} images, {share}",
    "report-label-prediction": "label ↓  prediction →",
    "report-panel-hint": "Choose a cell of the matrix; its images are listed here.",
    "report-panel-none": "No images.",
    "report-panel-listed": "The {shown} that it was surest of are listed.",
    "report-panel-more": "Show all {n}",
    "report-panel-close": "Close the list",
    "report-images-why": (
        "Pictures of people are not embedded; mien report --include-images shows up to {n} a cell."
    ),
    "report-map": "map",
    "report-sentences": "What the matrix supports saying",
    "report-classes-label": "Recall, precision and F1 of each class; macro-F1 {f1}, {n} images.",
    "report-classes-caption": "Recall, precision and F1 of each class with 95 % intervals.",
    # 4 to 6.
    "report-saliency": "Saliency",
    "report-saliency-about": (
        "Maps by {title} of {n} images ({split}). Vermillion speaks for the predicted class, blue "
        "against it; the means show how strong the maps are, whatever their sign."
    ),
    "report-faces-why": (
        "People's faces are personal data: they are embedded only where --include-images asks for "
        "it. Shown instead are the attributions over each class's mean face, and drawn faces."
    ),
    "report-faces-asked": "Pictures of people are embedded, as --include-images asked.",
    "report-faces-shown": "All faces here are mien's drawings; no person is shown.",
    "report-class-maps": "Mean attribution of each class",
    "report-examples": "Single images",
    "report-drawn": "Drawn faces",
    "report-drawn-about": "Faces that mien drew: image, map and overlay of each class.",
    "report-mean": "mean face",
    "report-mean-face": "Mean face of {name}",
    "report-map-right": "Mean map of {n} images of {name} predicted right, over the mean face",
    "report-map-wrong": "Mean map of {n} images of {name} predicted wrong, over the mean face",
    "report-right": "right",
    "report-wrong": "wrong",
    "report-original": "image",
    "report-overlay": "overlay",
    "report-example": "{id}: {label}, predicted {predicted} at {confidence}",
    "report-scale": (
        "One scale for all maps of a group: full colour is the 99.5th percentile of the absolute "
        "attribution."
    ),
    "report-against": "against",
    "report-for": "for",
    "report-regions": "Face regions",
    "report-regions-about": (
        "Share of attribution divided by share of area, by {method}, over {n} images ({split}); 1 "
        "means no more than its area."
    ),
    "report-regions-shift": " The intervals include shifts of the regions by {shift} pixels.",
    "report-regions-all": "All images",
    "report-regions-right": "Images predicted right",
    "report-regions-wrong": "Images predicted wrong",
    "report-every-class": "all classes",
    "report-trust-title": "How far to believe the maps",
    "report-trust-intro": "Each method was tested on {n} images ({split}).",
    "report-filters": "Last-layer filters",
    "report-filters-about": (
        "Layer {layer} has {total} filters, each sees {field} pixels; {drawn} were drawn, measured "
        "on {n} images."
    ),
    "report-filter": "Filter {n}",
    "report-dead": "dead: no image activates it",
    "report-sparsity": "active on {share}",
    "report-speaks": "{name} {effect}",
    "report-patterns": "Synthetic patterns",
    "report-patches": "Patches",
    "report-patch": "Patch of {id}, activation {activation}",
    "report-pattern-alt": "Synthetic pattern that activates {name}",
    "report-patches-why": (
        "The patches are cut from people's pictures and need --include-images; the patterns are "
        "synthetic."
    ),
    "report-maths": "The maths",
    "report-maths-intro": (
        "The derivations with the numbers of this network where it has them, recomputed from the "
        "formulas; then each layer's gradients held against autograd."
    ),
    "report-worked-missing": "The numbers are those of the worked examples.",
    "report-worked-shape": "Numbers of this network: layer {layer}, along the width of the image.",
    "report-worked-batchnorm": (
        "Numbers of this network: feature {feature} of layer {layer} over a batch of m = {batch} "
        "images, with the gradient that the cross-entropy loss sends it (rounded)."
    ),
    "report-worked-softmax": (
        "Numbers of this network: the saved logits of image {id}, whose loss is the median; the "
        "target is {label}, the order of the classes {classes}."
    ),
    "report-worked-course": "The same logits of image {id}, but K losses, each of one class.",
    # The rest.
    "report-calibration": "Calibration",
    "report-calibration-intro": (
        "How far the stated confidence agrees with how often it is right, over {n} images; with "
        "the temperature, each image is measured with one that was fitted without it."
    ),
    "report-reliability-caption": (
        "Accuracy against confidence in 15 bins, before and after the temperature; on the dashed "
        "line confidence would be exactly right. Below, the images in each bin."
    ),
    "report-risk-caption": (
        "Error among the images that it is surest of. The points are thresholds that promise an "
        "error rate, chosen and measured on different images."
    ),
    "report-audit": "Data audit",
    "report-suspects": "Suspect labels",
    "report-suspects-about": (
        "{count} of {n} images have a label that the model contradicts with confidence; the first "
        "{shown} are listed. A person should look: the model may be wrong as well."
    ),
    "report-provenance": "Provenance",
    "report-card": "Model card",
    "report-recipe-all": "The whole recipe",
}

CHINESE = {
    "report-architecture": "架構",
    "report-architecture-about": (
        "{layers} 層、{parameters} 個參數，每張影像 {macs} 次乘加運算；輸入 {input}，"
        "輸出 {output}，各層輸出共占 {mib} MiB。"
    ),
    "report-architecture-caption": (
        "從輸入到輸出的網路。正面的高度代表影像高度，厚度代表通道數；數字為通道×高×寬。"
    ),
    "report-history": "訓練過程",
    "report-history-caption": (
        "各輪的損失、準確率與學習率；虛線標示模型權重所屬的那一輪。"
        "兩條曲線以相同方式測量，不含資料擴增與 dropout。"
    ),
    "report-chosen": (
        "模型取自最後的第 {epoch} 輪：驗證損失 {loss}、準確率 {accuracy} %，"
        "訓練損失 {train_loss}、準確率 {train_accuracy} %。"
    ),
    "report-fit-rule": (
        "驗證損失自最低點上升而訓練損失下降，才說過度配適；"
        "最後十分之一的輪數中兩者仍下降，"
        "才說配適不足；且都要超過隨機起伏"
        "（由單張影像損失的離散程度得出 95 % 區間，並分攤於各輪）。"
    ),
    "report-confusion": "混淆矩陣",
    "report-confusion-intro": (
        "列為標籤，欄為預測：占該列的比例與張數。選擇一格即可查看其中的影像。"
    ),
    "report-matrix": "混淆矩陣",
    "report-cell-right": "{truth}，預測正確：{n} 張影像中的 {count} 張，{share}",
    "report-cell-wrong": "{truth}被當成{predicted}：{n} 張影像中的 {count} 張，{share}",
    "report-label-prediction": "標籤 ↓　預測 →",
    "report-panel-hint": "選擇矩陣中的一格，其中的影像會列在這裡。",
    "report-panel-none": "沒有影像。",
    "report-panel-listed": "列出它最有把握的 {shown} 張。",
    "report-panel-more": "顯示全部 {n} 張",
    "report-panel-close": "關閉清單",
    "report-images-why": (
        "本頁未嵌入人物影像；mien report --include-images 會在每格顯示至多 {n} 張。"
    ),
    "report-map": "歸因圖",
    "report-sentences": "矩陣所支持的說法",
    "report-classes-label": "各類別的召回率、精確率與 F1；macro-F1 {f1}，{n} 張影像。",
    "report-classes-caption": "各類別的召回率、精確率與 F1，附 95 % 區間。",
    "report-saliency": "顯著圖",
    "report-saliency-about": (
        "以 {title} 對 {n} 張影像（{split}）所作的歸因圖。橘紅色支持所預測的類別，藍色反對；"
        "平均圖呈現強度，不分正負。"
    ),
    "report-faces-why": (
        "人臉屬於個人資料：只有指定 --include-images 才會嵌入。"
        "此處改以各類別的平均臉與繪製的臉呈現歸因。"
    ),
    "report-faces-asked": "依 --include-images 的要求，本頁嵌入了人物影像。",
    "report-faces-shown": "此處的臉皆由 mien 繪製，並非真人。",
    "report-class-maps": "各類別的平均歸因",
    "report-examples": "個別影像",
    "report-drawn": "繪製的臉",
    "report-drawn-about": "由 mien 繪製的臉：各類別的影像、歸因圖與疊圖。",
    "report-mean": "平均臉",
    "report-mean-face": "{name}的平均臉",
    "report-map-right": "{name}預測正確的 {n} 張影像的平均歸因，疊於平均臉",
    "report-map-wrong": "{name}預測錯誤的 {n} 張影像的平均歸因，疊於平均臉",
    "report-right": "正確",
    "report-wrong": "錯誤",
    "report-original": "影像",
    "report-overlay": "疊圖",
    "report-example": "{id}：{label}，預測為{predicted}，信心 {confidence}",
    "report-scale": "同組的歸因圖使用同一尺度：最深的顏色為歸因絕對值的第 99.5 百分位數。",
    "report-against": "反對",
    "report-for": "支持",
    "report-regions": "臉部區域",
    "report-regions-about": (
        "以 {method} 對 {n} 張影像（{split}）計算歸因占比除以面積占比；1 表示與其面積相當。"
    ),
    "report-regions-shift": "區間已包含區域平移 {shift} 個像素的影響。",
    "report-regions-all": "所有影像",
    "report-regions-right": "預測正確的影像",
    "report-regions-wrong": "預測錯誤的影像",
    "report-every-class": "所有類別",
    "report-trust-title": "歸因圖可信到什麼程度",
    "report-trust-intro": "每種方法都以 {n} 張影像（{split}）檢驗。",
    "report-filters": "最後一層的濾波器",
    "report-filters-about": (
        "{layer} 層有 {total} 個濾波器，每個看到 {field} 像素；畫出其中 {drawn} 個，"
        "以 {n} 張影像測量。"
    ),
    "report-filter": "濾波器 {n}",
    "report-dead": "失效：沒有影像能使它活化",
    "report-sparsity": "在 {share} 上活化",
    "report-speaks": "{name} {effect}",
    "report-patterns": "合成圖樣",
    "report-patches": "影像片段",
    "report-patch": "{id} 的片段，活化值 {activation}",
    "report-pattern-alt": "使{name}活化的合成圖樣",
    "report-patches-why": "影像片段取自人物影像，需要 --include-images；圖樣則為合成。",
    "report-maths": "數學推導",
    "report-maths-intro": (
        "推導中凡本網路有的數值皆用本網路的數值，並依公式重新計算；之後將各層的梯度與自動微分對照。"
    ),
    "report-worked-missing": "數值取自示範例。",
    "report-worked-shape": "本網路的數值：{layer} 層，沿影像的寬。",
    "report-worked-batchnorm": (
        "本網路的數值：{layer} 層的第 {feature} 個特徵，批次 m = {batch} 張影像，"
        "上游梯度來自交叉熵損失（已四捨五入）。"
    ),
    "report-worked-softmax": (
        "本網路的數值：影像 {id} 所存的 logits，其損失為中位數；目標為{label}，"
        "類別順序為{classes}。"
    ),
    "report-worked-course": "影像 {id} 的同一組 logits，但有 K 個損失，每個類別一個。",
    "report-calibration": "校準",
    "report-calibration-intro": (
        "所稱信心與實際正確率的吻合程度，共 {n} 張影像；"
        "以溫度校準時，每張影像都用未以它擬合的溫度測量。"
    ),
    "report-reliability-caption": (
        "15 個信心區間的準確率，校準前後；落在虛線上表示信心恰好正確。下方為各區間的影像數。"
    ),
    "report-risk-caption": (
        "只看它最有把握的影像時的錯誤率。圓點是保證某一錯誤率的門檻，以不同的影像選定與測量。"
    ),
    "report-audit": "資料稽核",
    "report-suspects": "可疑的標籤",
    "report-suspects-about": (
        "{n} 張影像中有 {count} 張的標籤遭模型以高信心否定；列出前 {shown} 張。"
        "應由人檢視：錯的也可能是模型。"
    ),
    "report-provenance": "出處",
    "report-card": "模型卡",
    "report-recipe-all": "完整的訓練配方",
}
