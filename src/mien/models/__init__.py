"""Networks, their registry and their files; knows nothing of data sets or training."""
