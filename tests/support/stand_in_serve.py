"""`cds serve` whose analysis is the stand-in: everything else is as a user runs it.

``python -m support.stand_in_serve SCRIPT_DIR ANALYSIS_SECONDS serve --config ...``

By how many seconds the node's wall clock is wrong stands in SCRIPT_DIR/clock, where there is such a file.
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from functools import partial
from pathlib import Path


def main(script_dir: str, analysis_seconds: str, *arguments: str) -> None:
    import cds.app
    from cds.cli import main as cds_main
    from cds.service import Node, WorkerProcess
    from cds.testing.stand_in import make_stand_in

    def stand_in(_: Callable[..., object]) -> WorkerProcess:
        return WorkerProcess(make_stand_in(Path(script_dir)), timeout_seconds=float(analysis_seconds))

    def clock() -> datetime:
        wrong = Path(script_dir, "clock")
        return datetime.now(UTC) + timedelta(seconds=float(wrong.read_text()) if wrong.exists() else 0.0)

    cds.app.WorkerProcess = stand_in
    cds.app.Node = partial(Node, clock=clock)
    sys.argv = ["cds", *arguments]
    cds_main()


if __name__ == "__main__":
    main(*sys.argv[1:])
