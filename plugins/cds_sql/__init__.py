"""Laboratory values and reports from SQL views of the site's own, joined to a study by identity and time.

A guest of the house: it knows `cds.domain`, `cds.ports` and `cds.errors`, and nothing else of it.
"""
