"""`cds serve`: listener, workflow and delivery until a signal says stop."""

from __future__ import annotations

import typer

from cds.cli.settings import ConfigOption, load


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command()(serve)


def serve(config: ConfigOption = None) -> None:
    """Receive studies, analyse them and send reports back; SIGTERM drains and exits 0."""
    from cds.app import serve as run

    run(load(config))
