from __future__ import annotations

from typing import Any

from cds.cli.studies import study_lines

STUDY = "1." + "9" * 62


def way(peer: str, file: str, state: str, reason: str = "", attempts: int = 1) -> dict[str, Any]:
    return {"peer": peer, "file": file, "state": state, "reason": reason, "attempts": attempts}


def study(*ways: dict[str, Any], **changes: Any) -> dict[str, Any]:
    reports = [{"superseded": True, "deliveries": [way("old", "sr", "FAILED", "old")]}]
    reports += [{"superseded": False, "deliveries": list(ways)}] if ways else []
    entries = {"study_instance_uid": STUDY, "state": "REPORTED", "reason": "", "instances": 135, "attempts": 1}
    return {**entries, "changed_at": "2026-01-02T03:04:05.678901+00:00", "reports": reports, **changes}


def test_a_study_has_two_lines_and_its_uid_one_of_its_own() -> None:
    lines = list(study_lines([study(way("pacs", "sr", "SENT"), way("pacs", "pdf", "SENT"))], 80))
    assert lines == [STUDY, "  REPORTED  2026-01-02 03:04:05Z  135 instances  pacs: SENT"]


def test_a_second_attempt_is_named() -> None:
    assert list(study_lines([study(attempts=2, instances=1)], 80))[1].endswith("  1 instance  attempt 2")


def test_the_reason_stands_where_a_delivery_failed_or_waits() -> None:
    ways = [
        way("pacs", "sr", "SENT"),
        way("pacs", "pdf", "FAILED", "not accepted"),
        way("web", "sr", "PENDING", "no connection", 3),
        way("web", "pdf", "PENDING", "no connection", 3),
    ]
    lines = list(study_lines([study(*ways)], 80))
    assert "pacs: 1 FAILED, 1 SENT" in " ".join(line.strip() for line in lines)
    assert lines[-2:] == [
        "    pacs: pdf FAILED (attempts: 1): not accepted",
        "    web: sr, pdf PENDING (attempts: 3): no connection",
    ]


def test_no_line_is_longer_than_the_terminal_and_no_uid_is_broken() -> None:
    reason = f"the report was not delivered: peer 'pacs' does not accept SOP Instance {STUDY} in any way that we know"
    lines = list(study_lines([study(reason=reason, state="IDENTITY_CONFLICT")], 80))
    assert max(map(len, lines)) <= 80
    assert sum(STUDY in line for line in lines) == 2


def test_before_the_first_study_it_says_so() -> None:
    assert list(study_lines([], 80)) == ["no study has come yet"]
