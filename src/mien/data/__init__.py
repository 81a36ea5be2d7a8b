"""Reads, audits, splits, draws and augments pictures; knows nothing of models."""
