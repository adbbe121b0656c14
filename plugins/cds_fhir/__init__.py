"""Laboratory values, reports and identities by FHIR R4: fetched from a server, received, kept and joined.

`cds_fhir.source` is the records source, `cds_fhir.listener` the receiving endpoint; both write one file.
"""
