"""Chest radiographs: a small ConvNeXt V2 that looks for pneumonia."""
