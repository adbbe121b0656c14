"""A listener with a tray behind it, on a free port of this machine."""

from __future__ import annotations

from typing import Self

from cds.ports import ListenerAddress, Peer, Tls
from cds_pacs.listener import DicomListener, ListenerSettings
from cds_pacs.testing.bare_scu import BareScu
from cds_pacs.testing.tray import Tray


class Door:
    """A running listener."""

    def __init__(
        self,
        *,
        settings: ListenerSettings | None = None,
        tray: Tray | None = None,
        port: int = 0,
        max_associations: int = 5,
        accept_unknown: bool = True,
        peers: tuple[Peer, ...] = (),
        shared: bool = False,
        tls: Tls | None = None,
    ) -> None:
        self.tray = tray or Tray()
        self.listener = DicomListener(settings or ListenerSettings(drain_seconds=5))
        address = ListenerAddress(
            ae_title="CDS",
            host="127.0.0.1",
            port=port,
            max_associations=max_associations,
            accept_unknown=accept_unknown,
            peers=peers,
            shared=shared,
            tls=tls,
        )
        self.port = self.listener.start(address, self.tray)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exception: object) -> None:
        self.stop()

    def stop(self) -> None:
        """Stop listening."""
        self.listener.stop()

    def call(self) -> BareScu:
        """Connect to it."""
        return BareScu(self.port)
