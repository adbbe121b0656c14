"""A node of its own process whose analysis is the stand-in: what crash tests kill.

``python -m cds.testing.stand_in_node DATA_DIR SCRIPT_DIR PORT PACS_PORT QUIET_SECONDS``
"""

from __future__ import annotations

import sys
from pathlib import Path


def main(data_dir: str, script_dir: str, port: str, pacs_port: str, quiet_seconds: str) -> None:
    """Serve until SIGTERM; the first line on stdout is the port."""
    from cds import ports
    from cds.discovery import build
    from cds.service import IntakePlan, ListenerPlan, Node, NodePlan, RetryPolicy, WorkerProcess
    from cds.store import Ledger
    from cds.testing.stand_in import make_stand_in

    sender: type[ports.Sender] = ports.Sender  # type: ignore[type-abstract]
    pacs = ports.Peer(name="pacs", ae_title="PACS", host="127.0.0.1", port=int(pacs_port), send_results=True)
    address = ports.ListenerAddress(
        ae_title="CDS",
        host="127.0.0.1",
        port=int(port),
        max_associations=25,
        accept_unknown=True,
        peers=(pacs,),
    )
    plan = NodePlan(
        intake=IntakePlan(data_dir=Path(data_dir), journal_bytes=16 << 20),
        listeners=(ListenerPlan(name="dicom", address=address),),
        study_quiet_seconds=float(quiet_seconds),
        retry=RetryPolicy(first_seconds=0.5, longest_seconds=1.0),
    )
    with Ledger(plan.data_dir, check=True) as ledger:
        node = Node(
            ledger,
            plan,
            senders={"dicom": build(ports.SENDERS, "dicom", sender, {})},
            analyst=WorkerProcess(make_stand_in(Path(script_dir))),
        )
        node.run(started=lambda bound: print(bound, flush=True))


if __name__ == "__main__":
    main(*sys.argv[1:])
