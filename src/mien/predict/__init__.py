"""Pictures to faces with expressions; knows nothing of training, and needs no torch."""
