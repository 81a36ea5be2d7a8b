"""What a classifier's answer rests on: attributions, regions, filters, and whether to believe it.

Takes any ``nn.Module`` and tensors; knows nothing of files, of data sets or of mien's networks.
"""

# Chosen by the table of docs/results/trust.md, by the rule of ``trust.verdict.default_method``.
DEFAULT_METHOD = "smoothgrad"
