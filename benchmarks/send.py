"""How long our sender needs to deliver a structured report: on a fresh association, and on a kept one.

    python benchmarks/send.py [--times 50] [--json FILE]

Sends to DCMTK's storescp and to Orthanc, tuned and as shipped, through `cds_pacs.sender.DicomSender`.
Medians in milliseconds; association set-up is what the fresh one costs more.
"""

from __future__ import annotations

import argparse
import json
import statistics
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

from receiving.receivers import DCMTK, DCMTK_SHIPPED, ORTHANC_DURABLE, Receiver, receivers
from receiving.reports import structured_report
from receiving.running import Running

from cds.ports import Peer
from cds_pacs.sender import DicomSender

RECEIVERS = (DCMTK_SHIPPED, DCMTK, "orthanc", ORTHANC_DURABLE)


@dataclass(frozen=True, slots=True, kw_only=True)
class Delivery:
    """Medians of one receiver, in milliseconds.

    Parameters
    ----------
    setup_and_release
        A fresh association with one report, less one report on a kept association.
    fresh
        One report with an association of its own: set-up, C-STORE, release.
    kept
        One report over the association of the one before.
    """

    receiver: str
    setup_and_release: float
    fresh: float
    kept: float


def main(arguments: Sequence[str] | None = None) -> int:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--times", type=int, default=50, help="how many reports each way")
    parser.add_argument("--json", default="", metavar="FILE", help="write the figures, too")
    parser.add_argument("--folder", default=None, help="where the receivers write: a disk, not memory")
    options = parser.parse_args(arguments)
    with tempfile.TemporaryDirectory(prefix="cds-benchmark-", dir=options.folder) as name:
        folder = Path(name)
        found, _ = receivers(folder)
        reports = _reports(folder / "reports", 2 * options.times + 1)
        measured = [measure(receiver, reports) for receiver in found if receiver.key in RECEIVERS]
    print("| receiver | set-up and release, ms | one SR, fresh association, ms | one SR, kept association, ms |")
    print("|---|---:|---:|---:|")
    for one in measured:
        print(f"| {one.receiver} | {one.setup_and_release:.2f} | {one.fresh:.2f} | {one.kept:.2f} |")
    if options.json:
        Path(options.json).write_text(json.dumps([asdict(one) for one in measured], indent=1), encoding="utf-8")
    return 0


def measure(receiver: Receiver, reports: Sequence[Path]) -> Delivery:
    """Send the first half on associations of their own, the rest over one."""
    half = len(reports) // 2
    address = receiver.address
    peer = Peer(name=receiver.key, ae_title=address.ae_title, host=address.host, port=address.port)
    with Running(receiver) as running:
        running.wait_until_it_answers()
        fresh = list(_each_alone(reports[:half], peer))
        kept = list(_over_one(reports[half:], peer))
    return Delivery(
        receiver=receiver.title,
        setup_and_release=statistics.median(fresh) - statistics.median(kept),
        fresh=statistics.median(fresh),
        kept=statistics.median(kept),
    )


def _each_alone(reports: Sequence[Path], peer: Peer) -> Iterator[float]:
    for report in reports:
        sender = DicomSender(DicomSender.Settings())
        started = time.perf_counter()
        sender.send([report], peer, calling_ae_title="CDS")
        sender.close()
        yield 1000 * (time.perf_counter() - started)


def _over_one(reports: Sequence[Path], peer: Peer) -> Iterator[float]:
    """The first is not counted: it sets the association up."""
    sender = DicomSender(DicomSender.Settings())
    sender.send(reports[:1], peer, calling_ae_title="CDS")
    for report in reports[1:]:
        started = time.perf_counter()
        sender.send([report], peer, calling_ae_title="CDS")
        yield 1000 * (time.perf_counter() - started)
    sender.close()


def _reports(folder: Path, count: int) -> list[Path]:
    folder.mkdir()
    files = [folder / f"{number:06}.dcm" for number in range(count)]
    for file in files:
        file.write_bytes(structured_report())
    return files


if __name__ == "__main__":
    sys.exit(main())
