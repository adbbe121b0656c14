"""kill -9 while messages come: each AA is one row, and no row is there twice."""

from __future__ import annotations

import subprocess
import sys
import threading
from pathlib import Path

from cds_hl7.kept import KeptMessages, store_path
from cds_hl7.person import Identifier

from .conftest import Caller, oru

NODE = """
import sys, threading
from cds.testing.contract_listeners import RefusingIntake, loopback
from cds_hl7.listener import Hl7Listener, Hl7ListenerSettings
print(Hl7Listener(Hl7ListenerSettings(data_dir=sys.argv[1])).start(loopback(), RefusingIntake()), flush=True)
threading.Event().wait()
"""
CALLERS = 4
BEFORE_THE_KILL = 40


def test_after_kill_9_every_aa_is_one_row_and_no_row_is_there_twice(tmp_path: Path) -> None:
    accepted: list[str] = []
    sent = [f"{caller}-{number}" for caller in range(CALLERS) for number in range(60)]
    for _ in range(3):
        _until_killed(tmp_path, sent, accepted, BEFORE_THE_KILL)
    _until_killed(tmp_path, sent, accepted, len(sent))  # what was not answered is sent again, and all of the rest
    _, kept = KeptMessages(store_path(str(tmp_path))).about(Identifier("P-1", "HOSP"))
    assert set(accepted) == set(sent)
    assert sorted(each.control_id for each in kept) == sorted(sent)


def _until_killed(folder: Path, sent: list[str], accepted: list[str], enough: int) -> None:
    """Send everything from the beginning, over several connections, until the node is killed in the midst of it."""
    rows_before = _rows(folder)
    with subprocess.Popen([sys.executable, "-c", NODE, str(folder)], stdout=subprocess.PIPE, text=True) as node:
        assert node.stdout is not None
        port = int(node.stdout.readline())
        fresh: list[str] = []
        reached = threading.Event()

        def call(mine: list[str]) -> None:
            caller = Caller(port)
            try:
                for control_id in mine:
                    if caller.ask(oru(control_id=control_id)) != ["AA", control_id]:
                        return
                    fresh.append(control_id)
                    if len(fresh) >= enough:
                        reached.set()
            except OSError:
                return
            finally:
                caller.socket.close()

        threads = [threading.Thread(target=call, args=(sent[n::CALLERS],)) for n in range(CALLERS)]
        for thread in threads:
            thread.start()
        assert reached.wait(60)
        node.kill()
        for thread in threads:
            thread.join(60)
    accepted += fresh
    rows = _rows(folder)
    assert set(fresh) | rows_before <= rows


def _rows(folder: Path) -> set[str]:
    path = store_path(str(folder))
    if not path.exists():
        return set()
    _, kept = KeptMessages(path).about(Identifier("P-1", "HOSP"))
    found = [each.control_id for each in kept]
    assert len(found) == len(set(found))
    return set(found)
