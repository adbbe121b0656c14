"""Thoracic knowledge graph: reviewed text files in, explained differentials and follow-up out.

`model` says what a graph is, `load` reads and checks the text files, `store` keeps a graph in a
database, `graph` walks it, `query` ranks and explains, `guidelines` holds tables of guidelines, and
`source` opens the door ``cds.knowledge``.
"""
