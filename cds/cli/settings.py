"""Where a command finds its configuration."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Annotated

import typer

from cds import config

ConfigOption = Annotated[
    Path | None,
    typer.Option("--config", "-c", help="The configuration; default: $CDS_CONFIG, then ./cds.toml, then defaults."),
]
JsonOption = Annotated[bool, typer.Option("--json", help="Print JSON for machines.")]


def load(path: Path | None) -> config.Settings:
    """Read the configuration that was named, or the one at hand."""
    if path is None and os.environ.get("CDS_CONFIG"):
        path = Path(os.environ["CDS_CONFIG"])
    if path is None and Path("cds.toml").is_file():
        path = Path("cds.toml")
    return config.read(path)
