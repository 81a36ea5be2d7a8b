"""The model card's fixed text: what such a model is for, and what it must not be used for."""

ENGLISH = {
    "card-what": (
        "A convolutional network that sorts pictures of single faces into {k} classes of facial "
        "expression. It names what a face shows; it cannot know what a person feels."
    ),
    "card-intended": "Intended uses",
    "card-intended-1": "Teaching and research on how such networks work and where they fail.",
    "card-intended-2": (
        "Sorting pictures by the expression shown, where a person checks the result and nothing "
        "about anyone depends on it."
    ),
    "card-intended-3": "Games and art, where the people shown know of it and have agreed.",
    "card-prohibited": "Prohibited uses",
    "card-prohibited-1": (
        "Inferring the emotions of people at work or in education: prohibited in the European "
        "Union, except for medical or safety reasons (AI Act, Regulation (EU) 2024/1689, "
        "Article 5(1)(f))."
    ),
    "card-prohibited-2": (
        "Deciding about people: hiring, marking, credit, insurance, policing, border control, "
        "diagnosis."
    ),
    "card-prohibited-3": "Watching people who have not agreed to it, or judging whether they lie.",
    "card-duty": "Duty to inform",
    "card-duty-1": (
        "Whoever puts a system for recognising emotions from faces to use must tell the people "
        "exposed to it, and handle their data lawfully (AI Act, Article 50(3))."
    ),
    "card-limits": "Known limits",
    "card-limits-1": (
        "The numbers of this report hold for pictures like those it was evaluated on. Other "
        "cameras, poses, ages and groups of people may do worse; this report does not measure "
        "accuracy by group, because the data name none."
    ),
    "card-limits-2": (
        "Labels of expressions are opinions: people agree on them only in part, and a share of "
        "them is wrong."
    ),
    "card-data": "The data",
    "card-data-fer2013": (
        "FER2013 (Goodfellow et al. 2013) holds 48×48 grey faces found by an image search for "
        "words of emotion and sorted by people. People reach about 65 ± 5 % on it. Some images "
        "are blank, cropped badly or wrongly labelled, and many occur more than once, also across "
        "its splits; accuracy is therefore given with and without copies."
    ),
    "card-data-synthetic": (
        "The faces are drawn by mien from facial action units. No person is shown, and what a "
        "model learns from them says nothing about people."
    ),
    "card-data-other": (
        "The source is described in the provenance above. Before use, find out where its pictures "
        "come from, whether the people shown agreed, and who is missing among them."
    ),
}

CHINESE = {
    "card-what": (
        "這個卷積網路把單張人臉影像分成 {k} 類表情。它說出臉上呈現的表情，但無從得知人的感受。"
    ),
    "card-intended": "預期用途",
    "card-intended-1": "教學與研究：了解這類網路如何運作、在哪裡失敗。",
    "card-intended-2": "依呈現的表情整理影像；結果由人檢查，且不影響任何人的權益。",
    "card-intended-3": "遊戲與藝術；被拍攝的人知情並且同意。",
    "card-prohibited": "禁止用途",
    "card-prohibited-1": (
        "在職場或教育場域推斷人的情緒：歐盟明文禁止，醫療或安全理由除外"
        "（《人工智慧法》，規則 (EU) 2024/1689，第 5 條第 1 項 (f) 款）。"
    ),
    "card-prohibited-2": "對人作決定：僱用、評分、信用、保險、警務、邊境管制、診斷。",
    "card-prohibited-3": "監看未同意的人，或判斷他們是否說謊。",
    "card-duty": "告知義務",
    "card-duty-1": (
        "使用由人臉辨識情緒的系統者，必須告知受其影響的人，並依法處理其資料"
        "（《人工智慧法》第 50 條第 3 項）。"
    ),
    "card-limits": "已知限制",
    "card-limits-1": (
        "本報告的數值只適用於與評估資料相似的影像。換了相機、姿勢、年齡或人群，表現可能較差；"
        "資料未註明群體，因此本報告沒有各群體的準確率。"
    ),
    "card-limits-2": "表情的標籤是意見：人與人只有部分一致，其中也有錯誤。",
    "card-data": "資料",
    "card-data-fer2013": (
        "FER2013（Goodfellow 等人，2013）收錄以情緒詞彙在圖片搜尋中找到、由人分類的 48×48 "
        "灰階人臉。人在其上的準確率約為 65 ± 5 %。有些影像空白、裁切不良或標籤錯誤，"
        "許多影像重複出現，甚至跨越資料切分；因此準確率分別以含與不含重複影像的方式列出。"
    ),
    "card-data-synthetic": (
        "人臉由 mien 依臉部動作單元繪製，並非真人；模型由此所學與真實的人無關。"
    ),
    "card-data-other": (
        "資料來源見上方的出處。使用前請查明影像的來源、被拍攝者是否同意，以及其中缺少哪些人。"
    ),
}
