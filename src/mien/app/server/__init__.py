"""``mien serve``: the prediction pipeline behind HTTP; thin, and closed by default."""
