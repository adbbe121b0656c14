"""DICOM on the network: the storage SCP that receives studies, the SCU that delivers reports.

A guest of the house: it knows `cds.domain`, `cds.ports` and `cds.errors`, and nothing else of it.
"""
