"""Sentences on the filters of a layer."""

ENGLISH = {
    "filters-lines": (
        "Of the {n} filters of {layer} that were drawn, {share} are explained by a line or a "
        "Gabor (R² of at least {threshold} for the pattern that fires them most); it explains "
        "{median} of the median filter's pattern, and {null} of a random picture of the same "
        "frequencies."
    ),
    "filters-response": (
        "The best of {shapes} lines, edges and Gabors takes the median filter {reach} of the way "
        "from a grey picture to its best real patch; {share} of the filters get 90 % of the way."
    ),
    "filters-needed": (
        "The median filter needs {picture} of the picture ({field} of its receptive field) to "
        "reach 90 % of its activation for the faces that fire it most."
    ),
    "filters-dead": "{dead} of the {n} filters of {layer} are dead on these images.",
    "filters-holds": "That filters fire on simple lines and shapes holds for this layer: {share} "
    "are explained by one.",
    "filters-fails": (
        "That filters fire on simple lines and shapes does not hold for this layer: {either} "
        "are explained by a line, or fired by one as by the best real patch."
    ),
    "filters-untold": (
        "Whether filters fire on simple lines and shapes cannot be told for this layer: {share} "
        "are explained by a line, {either} are explained by one or fired by one as by the best "
        "real patch."
    ),
}

CHINESE = {
    "filters-lines": (
        "在畫出的 {n} 個 {layer} 濾波器中，{share} 可由一條線或一個 Gabor 函數解釋"
        "（最能激發它的圖樣，R² 至少 {threshold}）；它解釋了中位數濾波器圖樣的 {median}，"
        "而頻率相同的隨機影像為 {null}。"
    ),
    "filters-response": (
        "在 {shapes} 種線、邊緣與 Gabor 函數中，最好的一種使中位數濾波器走完"
        "從灰色影像到最佳真實影像塊的 {reach}；{share} 的濾波器走完 90 %。"
    ),
    "filters-needed": (
        "對最能激發濾波器的人臉，中位數濾波器需要影像的 {picture}（其感受野的 {field}），"
        "才能達到活化值的 90 %。"
    ),
    "filters-dead": "{layer} 的 {n} 個濾波器中，有 {dead} 個在這些影像上毫無反應。",
    "filters-holds": "「濾波器對簡單的線條與形狀有反應」在這一層成立：{share} 的濾波器可由其解釋。",
    "filters-fails": (
        "「濾波器對簡單的線條與形狀有反應」在這一層不成立：{either} 的濾波器"
        "可由一條線解釋，或被線條激發到與最佳真實影像塊相當。"
    ),
    "filters-untold": (
        "「濾波器對簡單的線條與形狀有反應」在這一層是否成立，無法判定：{share} 可由一條線解釋，"
        "{either} 可由線條解釋或被線條激發到與最佳真實影像塊相當。"
    ),
}
