"""Logs are JSON lines on standard error, without patient data.

What other libraries say is kept to warnings: their messages may quote data sets, so only the
logger's name and level go out for them, never their words. Python's own warnings take the same way.
"""

from __future__ import annotations

import logging
import sys
from functools import cache
from importlib.metadata import entry_points

import structlog
from structlog.typing import EventDict, Processor, WrappedLogger


@cache
def ours() -> frozenset[str]:
    """The packages whose words are let through: ours, and those behind our doors, which keep the same promise."""
    points = entry_points()
    doors = [group for group in points.groups if group.startswith("cds.")]
    return frozenset({"cds"} | {point.module.split(".")[0] for group in doors for point in points.select(group=group)})


def configure(level: int = logging.INFO) -> None:
    """Send every log record of the process to standard error, one JSON object a line."""
    shared: list[Processor] = [
        structlog.stdlib.add_logger_name,
        structlog.stdlib.add_log_level,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
    ]
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            foreign_pre_chain=shared,
            processors=[
                _hush_strangers,
                structlog.stdlib.ProcessorFormatter.remove_processors_meta,
                structlog.processors.EventRenamer("event"),
                structlog.processors.JSONRenderer(ensure_ascii=False),
            ],
        )
    )
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel(logging.WARNING)
    logging.captureWarnings(True)
    for name in ours():
        logging.getLogger(name).setLevel(level)


def _hush_strangers(logger: WrappedLogger, name: str, event: EventDict) -> EventDict:
    """Replace the words of foreign libraries, and every traceback's text, which may hold values."""
    room = str(event.get("logger", "")).split(".")[0]
    event.pop("exc_info", None)
    if room not in ours():
        event["event"] = "message of a library withheld: it may hold patient data"
    return event
