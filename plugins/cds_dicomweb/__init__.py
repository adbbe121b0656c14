"""DICOM over the web (PS3.18): instances come in and reports go out by STOW-RS, priors come by QIDO-RS and WADO-RS.

A guest of the house: it knows `cds.domain`, `cds.ports` and `cds.errors`, and nothing else of it.
"""
