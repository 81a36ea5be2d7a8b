"""Numbers from saved logits; takes any ``nn.Module``, knows nothing of data sets or training."""
