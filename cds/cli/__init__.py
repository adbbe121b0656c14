"""The command line: thin, every command in its own words, heavy imports only where they are used."""

from __future__ import annotations

import sys
from importlib.metadata import entry_points

import typer

from cds import __version__
from cds.cli import analyze, inspect, levers, node, train
from cds.errors import CdsError, ConfigError

app = typer.Typer(
    name="cds",
    help="Multimodal clinical decision support beside the PACS. A report is decision support, unverified.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    add_completion=False,
)
COMMANDS = "cds.commands"
"""Entry points of guests that bring a command of their own (`cds kg`)."""

analyze.register(app)
node.register(app)
inspect.register(app)
levers.register(app)
train.register(app)


def _version(show: bool) -> None:
    if show:
        typer.echo(f"cds {__version__}")
        raise typer.Exit


@app.callback()
def _root(version: bool = typer.Option(False, "--version", callback=_version, is_eager=True, help="Print it.")) -> None:
    """Multimodal clinical decision support beside the PACS."""


def main() -> None:
    """Run the command line; exit 0 ok, 1 the work failed, 2 usage or configuration."""
    _guests()
    try:
        app()
    except ConfigError as error:
        _fail(error, 2)
    except CdsError as error:
        _fail(error, 1)
    except KeyboardInterrupt:
        sys.exit(130)
    except BrokenPipeError:
        sys.stderr.close()
        sys.exit(1)


def _guests() -> None:
    """Add the guests' commands; only the one that is called, or all for the help, are imported."""
    called = sys.argv[1] if len(sys.argv) > 1 else "--help"
    for point in sorted(entry_points(group=COMMANDS), key=lambda point: point.name):
        if called in (point.name, "--help"):
            app.add_typer(point.load(), name=point.name)


def _fail(error: CdsError, status: int) -> None:
    typer.echo(f"cds: {error}", err=True)
    sys.exit(status)
