"""Studies for the eye: two lines each, and more only where something is to be said."""

from __future__ import annotations

import textwrap
from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Final

_INDENT: Final = "  "


def study_lines(studies: Sequence[Mapping[str, Any]], columns: int) -> Iterator[str]:
    """The lines of what `cds state --json` calls ``studies``; a UID always has a line of its own.

    Reasons are wrapped at `columns` characters.
    """
    if not studies:
        yield "no study has come yet"
    for study in studies:
        ways = [way for report in study["reports"] if not report["superseded"] for way in report["deliveries"]]
        yield study["study_instance_uid"]
        yield from _wrapped(_summary(study, ways), columns, _INDENT)
        for reason in filter(None, (study["reason"], *_troubles(ways))):
            yield from _wrapped(reason, columns, 2 * _INDENT)


def _summary(study: Mapping[str, Any], ways: Sequence[Mapping[str, Any]]) -> str:
    """State, since when, how much, and how far each peer's delivery is."""
    peers: dict[str, Counter[str]] = defaultdict(Counter)
    for way in ways:
        peers[way["peer"]][way["state"]] += 1
    since = study["changed_at"][:19].replace("T", " ")
    number, attempts = study["instances"], study["attempts"]
    parts = [study["state"], f"{since}Z", f"{number} instance{'' if number == 1 else 's'}"]
    parts += [f"attempt {attempts}"] if attempts > 1 else []
    return "  ".join([*parts, *(f"{peer}: {_counted(states)}" for peer, states in peers.items())])


def _counted(states: Counter[str]) -> str:
    if len(states) == 1:
        return next(iter(states))
    return ", ".join(f"{number} {state}" for state, number in sorted(states.items()))


def _troubles(ways: Sequence[Mapping[str, Any]]) -> list[str]:
    """What failed or waits, and why; files with the same fate share a line."""
    files: dict[tuple[str, str, str, int], list[str]] = defaultdict(list)
    for way in ways:
        if way["reason"] and way["state"] in ("FAILED", "PENDING"):
            files[way["peer"], way["state"], way["reason"], way["attempts"]].append(way["file"])
    return [
        f"{peer}: {', '.join(names)} {state} (attempts: {attempts}): {reason}"
        for (peer, state, reason, attempts), names in files.items()
    ]


def _wrapped(text: str, columns: int, indent: str) -> list[str]:
    return textwrap.wrap(
        text,
        max(columns, 40),
        initial_indent=indent,
        subsequent_indent=indent + _INDENT,
        break_long_words=False,
        break_on_hyphens=False,
    )
