"""Figures as SVG and PNG from numbers that were computed elsewhere; draws, and computes nothing."""
