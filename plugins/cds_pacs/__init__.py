"""DICOM on the network: the storage SCP that receives studies, the SCU that delivers reports and asks for priors.

A guest of the house: it knows `cds.domain`, `cds.ports` and `cds.errors`, and nothing else of it.

Three doors: `listener`, `sender`, `archive`. Behind them `scp` (who calls us) and `scu` (whom we call).
What both speak stands beside the doors: `pdu` and `commands` (the bytes), `contexts` and `status` (the tables),
`notices` (commitment, availability), `tls`. `conformance` prints it all; `testing` has peers for tests and the demo.
"""
