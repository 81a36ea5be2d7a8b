"""Procedural faces in parts: what moves, who it is, where it lies, how it is painted and seen."""
