"""The operator's levers: `retry`, `discard`, `resend`. They act on the ledger; a running node follows at once."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from cds.cli.settings import ConfigOption, JsonOption, load
from cds.errors import ConfigError

if TYPE_CHECKING:
    from cds.config import PeerSettings, Settings
    from cds.store import Ledger

Study = Annotated[str, typer.Argument(help="The Study Instance UID; `cds state` lists those there are.")]


def register(app: typer.Typer) -> None:
    """Add the commands."""
    app.command()(retry)
    app.command()(discard)
    app.command()(resend)


def retry(study: Study, config: ConfigOption = None, as_json: JsonOption = False) -> None:
    """Analyse a study again, with its attempts counted from zero; one that still waits for more is closed now."""
    with _ledger(load(config)) as ledger:
        ledger.levers.retry(study, datetime.now(UTC))
        state = ledger.state(study)["studies"][0]["state"]
        _say(ledger, study, "will be analysed" if state == "READY" else f"is {state}", as_json)


def discard(study: Study, config: ConfigOption = None, as_json: JsonOption = False) -> None:
    """Work no more on a study: nothing is analysed, nothing more is delivered; what came stays on the disk."""
    with _ledger(load(config)) as ledger:
        ledger.levers.discard(study, datetime.now(UTC))
        _say(ledger, study, "is discarded", as_json)


def resend(
    study: Study,
    peer: Annotated[list[str] | None, typer.Option(help="Only to this peer; may be given more than once.")] = None,
    config: ConfigOption = None,
    as_json: JsonOption = False,
) -> None:
    """Deliver the last report of a study again, to every peer with send_results or to those that are named."""
    from cds.service.delivery import recipients

    settings = load(config)
    peers = _chosen(settings, peer or [])
    with _ledger(settings) as ledger:
        addressed = partial(recipients, peers=[one.peer() for one in peers])
        ledger.levers.resend(study, [one.name for one in peers], datetime.now(UTC), addressed)
        _say(ledger, study, f"will be sent again to {', '.join(one.name for one in peers)}", as_json)


def _chosen(settings: Settings, names: Sequence[str]) -> list[PeerSettings]:
    known = {one.name: one for one in settings.peers}
    for name in names:
        if name not in known:
            raise ConfigError(f"no peer named {name!r}; there are: {', '.join(known) or 'none'}")
        if not known[name].send_results:
            raise ConfigError(f"peer {name!r} takes no results: set send_results = true")
    return [known[name] for name in names] if names else [one for one in settings.peers if one.send_results]


@contextmanager
def _ledger(settings: Settings) -> Iterator[Ledger]:
    from cds.store import Ledger

    folder: Path = settings.data_dir
    if not folder.is_dir():
        raise ConfigError(f"no node has run here yet: there is no folder {folder}")
    with Ledger(folder, settings.database.url) as ledger:
        yield ledger


def _say(ledger: Ledger, study: str, what: str, as_json: bool) -> None:
    state = ledger.state(study)
    if as_json:
        typer.echo(json.dumps(state["studies"][0], ensure_ascii=False))
        return
    node = "the node that runs does it now" if state["node"] else "no node runs: it is done when one starts"
    typer.echo(f"study {study} {what} ({node})")
