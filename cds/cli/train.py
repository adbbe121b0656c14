"""`cds train` and `cds evaluate`: models on one's own data."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.table import Table

from cds.cli.settings import JsonOption

Manifest = Annotated[Path, typer.Option(help="CSV; its columns are described in the documentation.")]
Out = Annotated[Path, typer.Option(help="The run folder; an interrupted run there is resumed.")]


def register(app: typer.Typer) -> None:
    """Add both groups."""
    train = typer.Typer(help="Train a model: progress shown, resumable, weights and model card written.")
    train.command("image")(train_image)
    train.command("fusion")(train_fusion)
    evaluate = typer.Typer(help="Evaluate a model on your own data, with 95 % bootstrap intervals.")
    evaluate.command("image")(evaluate_image)
    app.add_typer(train, name="train")
    app.add_typer(evaluate, name="evaluate")
