"""HL7 v2 over MLLP: laboratory values, reports, orders and identities come in, and are joined to a study.

A guest of the house: it knows `cds.domain`, `cds.ports` and `cds.errors`, and nothing else of it.
"""
