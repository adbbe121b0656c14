"""An intake in this process: what it takes is filed when `take` returns."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import datetime

from cds.ports import Announced, Notice, ReceivedInstance
from cds.service.filing import Filer
from cds.service.intake import JournalIntake
from cds.service.spooling import SpooledInstance
from cds.store import Ledger
from cds.store.durable import make_folder
from cds.store.journal import Journal
from cds.store.journal_format import make_ring
from cds.store.journal_reader import JournalReader


class FiledIntake:
    """A `JournalIntake`, its journal and its filer, without any process or thread of their own."""

    def __init__(
        self,
        ledger: Ledger,
        clock: Callable[[], datetime],
        *,
        journal_bytes: int = 4 << 20,
        own_model_name: str = "cds-pacs",
        reserve_bytes: int = 0,
    ) -> None:
        ring, spool_dir = ledger.data_dir / "journal" / "test-0.ring", ledger.data_dir / "spool"
        make_folder(spool_dir)
        make_ring(ring, journal_bytes)
        self.filer = Filer(ledger, spool_dir)
        self.filer.follow(JournalReader(ring, follow=True))
        self.journal = Journal(ring, wait_seconds=0.05)
        self.intake = JournalIntake(
            self.journal, spool_dir, clock=clock, own_model_name=own_model_name, reserve_bytes=reserve_bytes
        )
        self.file()

    def file(self) -> None:
        """File everything that waits."""
        while self.filer.run_once():
            pass

    def take(self, instance: ReceivedInstance) -> None:
        """Take and file an instance."""
        self.intake.take(instance)
        self.file()

    def spool(self, announced: Announced, parts: Sequence[bytes]) -> SpooledInstance:
        """Begin a large instance; the parts are written, `take` is the caller's."""
        spool = self.intake.spool(announced)
        for part in parts:
            spool.write(part)
        return spool

    def notice(self, notice: Notice) -> None:
        """Take and file a notice."""
        self.intake.notice(notice)
        self.file()

    def close(self) -> None:
        """Let go of the journal."""
        self.journal.close()
        self.filer.stop(0.0)
