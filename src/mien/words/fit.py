"""Sentences on a training history."""

ENGLISH = {
    "fit-gap": (
        "At the result the training images are recognised {difference} better than the validation "
        "images ({n_train} and {n_validation} of them): the network knows its training images "
        "better than new ones."
    ),
    "fit-over": (
        "The curves show overfitting: since epoch {epoch} validation loss rose by {rise_loss} "
        "while training loss fell by {fall_loss} more."
    ),
    "fit-under": (
        "The curves show underfitting: from epoch {epoch} to the result both losses were still "
        "falling, training by {train_loss} and validation by {validation_loss}. More epochs or a "
        "larger network may help."
    ),
    "fit-neither": (
        "The losses show neither overfitting (validation loss rising while training loss falls) "
        "nor underfitting (both still falling at the end) beyond what chance would do."
    ),
}

CHINESE = {
    "fit-gap": (
        "在結果的那一輪，訓練影像的辨識比驗證影像好 {difference}（各 {n_train} 張與 "
        "{n_validation} 張）：網路對訓練影像比對新影像更熟悉。"
    ),
    "fit-over": (
        "曲線顯示過度配適：自第 {epoch} 輪起，驗證損失上升 {rise_loss}，"
        "訓練損失卻又下降 {fall_loss}。"
    ),
    "fit-under": (
        "曲線顯示配適不足：從第 {epoch} 輪到結果，兩種損失仍在下降，訓練下降 {train_loss}，"
        "驗證下降 {validation_loss}。增加輪數或加大網路可能有幫助。"
    ),
    "fit-neither": (
        "損失曲線既未顯示過度配適（訓練損失下降而驗證損失上升），"
        "也未顯示配適不足（結束時兩者仍在下降），差異不超過隨機起伏。"
    ),
}
