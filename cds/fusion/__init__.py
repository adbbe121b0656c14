"""Fusion: evidence of several modalities in, one calibrated probability per target out."""
