"""`cds serve`: listener, workflow and delivery until a signal says stop."""

from __future__ import annotations

import os
import sys
from typing import TextIO

import typer

from cds.cli.settings import ConfigOption, load


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command()(serve)


def serve(config: ConfigOption = None) -> None:
    """Receive studies, analyse them and send reports back; SIGTERM drains and exits 0."""
    from cds import logs
    from cds.app import node
    from cds.doctor.tls import complaints as tls_complaints
    from cds.errors import ConfigError
    from cds.web import serving

    settings = load(config)
    logs.configure()
    os.umask(0o077)  # what lies in data_dir is for this user alone: it names patients

    try:
        running = node(settings)

        def complaints() -> tuple[str, ...]:
            return (*running.complaints(), *tls_complaints(settings))

        for complaint in tls_complaints(settings):
            _announce(f"cds: {complaint}", sys.stderr)
        with serving(settings, running.ledger, complaints, running.record_troubles) as web_port:

            def started(port: int) -> None:
                _announce(f"listening on {settings.node.host}:{port} as {settings.node.ae_title}")
                if web_port:
                    _announce(f"web pages at http://{settings.web.host}:{web_port}/readyz")

            running.run(started)
    except OSError as error:
        where = error.filename or settings.data_dir
        raise ConfigError(f"the node cannot work with {where}: {error.strerror or error}") from None


def _announce(line: str, to: TextIO | None = None) -> None:
    """Tell who started us; an output that takes nothing any more (a full disk, a closed pipe) is let go."""
    to = to or sys.stdout
    try:
        print(line, file=to, flush=True)
    except OSError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), to.fileno())  # the exit would try to write it again
