"""How fast instances are received: DCMTK, Orthanc, pynetdicom, a bare floor and our node, in turn.

    python benchmarks/receive.py [--quick] [--json FILE] [--only KEYS] [--shapes ct,xray,small] [--associations 1,4,8]

Prints medians, spread and ratios; the ratios are taken within a round, so that they hold where the
machine changes its speed. How to read it, and the figures: docs/speed.md.
"""

from __future__ import annotations

import argparse
import json
import random
import signal
import statistics
import sys
import tempfile
import time
from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import asdict, dataclass, field
from pathlib import Path

from receiving import table
from receiving.machine import BUSY_PERCENT, busy_percent, machine
from receiving.measure import Run, Small, objects_per_association, probe, run, small, write_files
from receiving.objects import SHAPES, Shape
from receiving.receivers import STORESCU, Receiver, receivers
from receiving.running import Running
from receiving.wire import WireError

QUICK_ROUNDS, ROUNDS = 1, 3
QUICK_SECONDS, SECONDS = 0.5, 1.5
"""A run of a slow receiver is cut to about so long; its rate is the same."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """What is to be measured; no further round is begun that would not end within `most_seconds`."""

    shapes: tuple[Shape, ...]
    associations: tuple[int, ...]
    rounds: int
    quick: bool
    most_seconds: float = 700.0

    def most(self, shape: Shape) -> int:
        """How many objects a run of a fast receiver has."""
        return shape.quick_count if self.quick else shape.count

    @property
    def seconds(self) -> float:
        """About how long a run of a slow receiver may take."""
        return QUICK_SECONDS if self.quick else SECONDS


@dataclass(slots=True)
class Results:
    """What was measured so far."""

    runs: list[Run] = field(default_factory=list)
    small: list[Small] = field(default_factory=list)
    busy: list[float] = field(default_factory=list)


def main(arguments: Sequence[str] | None = None) -> int:
    """Measure and print; 1 when a receiver did not take everything."""
    options = _options(arguments)
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))
    plan = Plan(
        shapes=tuple(shape for shape in SHAPES if shape.name in options.shapes.split(",")),
        associations=tuple(int(word) for word in options.associations.split(",")),
        rounds=options.rounds or (QUICK_ROUNDS if options.quick else ROUNDS),
        quick=options.quick,
    )
    with tempfile.TemporaryDirectory(prefix="cds-benchmark-", dir=options.folder) as name:
        folder = Path(name)
        found, left_out = receivers(folder, [int(word) for word in options.processes.split(",")])
        chosen = [one for one in found if not options.only or one.key in options.only.split(",")]
        try:
            results = measure(plan, chosen, folder)
        except WireError as error:
            print(f"stopped: {error}", file=sys.stderr)
            return 1
        _report(plan, results, chosen, left_out, folder, options.json)
    return 0


def measure(plan: Plan, chosen: Sequence[Receiver], folder: Path) -> Results:
    """Start every receiver, then run them in turn, in another order at each round.

    Raises
    ------
    WireError
        When a receiver does not start, or answers anything but success.
    """
    results = Results()
    order = random.Random(1)
    begun = time.monotonic()
    with ExitStack() as stack:
        started = [stack.enter_context(Running(receiver)) for receiver in chosen]
        for running in started:
            running.wait_until_it_answers()
        rates = _probe_all(plan, started)
        for number in range(1, plan.rounds + 1):
            turn = order.sample(started, len(started)) if number > 1 else started
            results.busy.append(busy_percent())
            _small_round(plan, turn, folder / f"storescu-{number}", number, results)
            for shape in plan.shapes:
                for associations in plan.associations:
                    for running in turn:
                        rate = rates[running.receiver.key, shape.name]
                        each = objects_per_association(associations, plan.most(shape), rate, plan.seconds)
                        results.runs.append(run(running, shape, associations, each, number))
                    _progress(f"round {number} of {plan.rounds}: {shape.title}, {associations} associations")
            taken = time.monotonic() - begun
            if taken * (number + 1) / number > plan.most_seconds:
                break
    return results


def _probe_all(plan: Plan, started: Sequence[Running]) -> dict[tuple[str, str], float]:
    """Warm every receiver up; objects a second by receiver and shape. All are paused after it."""
    for running in started:
        running.pause()
    rates = {}
    for running in started:
        running.resume()
        for shape in plan.shapes:
            rates[running.receiver.key, shape.name] = probe(running, shape)
        running.forget()
        running.pause()
    return rates


def _small_round(plan: Plan, turn: Sequence[Running], files: Path, number: int, results: Results) -> None:
    available = STORESCU.exists()
    if available:
        write_files(files, 20 if plan.quick else 50)
    for running in turn:
        results.small.append(small(running, files if available else None, number, 200, plan.seconds))
    _progress(f"round {number} of {plan.rounds}: storescu, set-up, C-ECHO")


def _report(
    plan: Plan,
    results: Results,
    chosen: Sequence[Receiver],
    left_out: Sequence[str],
    folder: Path,
    json_file: str,
) -> None:
    here = machine(folder)
    titles = {receiver.key: receiver.title for receiver in chosen}
    rows = table.rows(results.runs)
    targets = list(table.targets(rows, results.small))
    busy = statistics.median(results.busy)
    print(f"{here.processor}, {here.cores} cores, Linux {here.kernel}, {here.filesystem}")
    print(f"\n{len(results.busy)} of {plan.rounds} rounds, at most {plan.seconds:g} s a run")
    if busy > BUSY_PERCENT:
        print(f"\n**Others used {busy:.0f} % of this machine: these figures are not to be trusted.**")
    if here.filesystem == "tmpfs":
        print("\n**The folder is in memory: fsync costs nothing there. Choose a disk with --folder.**")
    for reason in left_out:
        print(f"\nLeft out: {reason}.")
    table.print_overview(rows, titles, print)
    table.print_rows(rows, titles, print)
    table.print_small(results.small, titles, print)
    table.print_targets(targets, print)
    if json_file:
        everything = {
            "machine": asdict(here),
            "busy_percent": results.busy,
            "left_out": list(left_out),
            "titles": titles,
            "rows": [asdict(row) for row in rows],
            "runs": [asdict(one) for one in results.runs],
            "small": [asdict(one) for one in results.small],
            "targets": [{**asdict(target), "met": target.met} for target in targets],
        }
        Path(json_file).write_text(json.dumps(everything, indent=1), encoding="utf-8")


def _progress(text: str) -> None:
    print(f"{time.strftime('%H:%M:%S')} {text}", file=sys.stderr, flush=True)


def _options(arguments: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quick", action="store_true", help="fewer objects, one round: at most three minutes")
    parser.add_argument("--json", default="", metavar="FILE", help="write everything that was measured, too")
    parser.add_argument("--only", default="", metavar="KEYS", help="only these receivers, e.g. floor,dcmtk-tuned,ours")
    parser.add_argument("--shapes", default="ct,xray,small", help="ct, xray, small")
    parser.add_argument("--associations", default="1,4,8", help="how many at once")
    parser.add_argument("--processes", default="1,2", help="listener processes of our node, each a row of its own")
    parser.add_argument("--rounds", type=int, default=0, help="how often everything is repeated (3; --quick 1)")
    parser.add_argument("--folder", default=None, help="where the receivers write: a disk, not memory")
    return parser.parse_args(arguments)


if __name__ == "__main__":
    sys.exit(main())
