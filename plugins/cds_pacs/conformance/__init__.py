"""`cds conformance`: the DICOM Conformance Statement (PS3.2), its tables made from what really runs.

The page `docs/dicom-conformance.md` is this command's output; a test holds them together.
"""

from __future__ import annotations

import typer

app = typer.Typer(help="Print the DICOM Conformance Statement as Markdown.")


@app.callback(invoke_without_command=True)
def conformance() -> None:
    """Print the DICOM Conformance Statement as Markdown (PS3.2), generated from the running tables."""
    from cds_pacs.conformance.statement import statement

    typer.echo(statement(), nl=False)
