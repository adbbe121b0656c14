"""What of the kept messages belongs to a study, in one normal form."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta, timezone
from pathlib import Path

import pytest

from cds.domain.records import LabStatus, Records, TextKind
from cds.errors import ConfigError
from cds_hl7.source import Hl7Records, Hl7Settings

from .conftest import OBR, PID, Join, message, oru, study_of

ORDER = "OBR|1|PL-9||36643-5^Chest X-ray^LN||20260131073000+0000"


def values(found: Records) -> list[tuple[str, float]]:
    return [(lab.comparator, lab.value) for lab in found.labs]


def reasons(found: Records) -> str:
    return " / ".join(f"{each.source}: {each.reason}" for each in found.rejected)


def obx(value: str, kind: str = "NM", code: str = "1988-5^CRP^LN", **other: str) -> str:
    fields = {"unit": "mg/L", "range": "", "status": "F", "at": "", "sub": ""} | other
    head = f"OBX|1|{kind}|{code}|{fields['sub']}|{value}|{fields['unit']}|{fields['range']}"
    return f"{head}||||{fields['status']}|||{fields['at']}"


def test_a_value_is_in_the_normal_form(join: Join) -> None:
    (lab,) = join(oru(obx("12", unit="mg/dL", range="0-0.5"), control_id="M-7")).labs
    assert lab.analyte.key == "LN:1988-5"
    assert (lab.value, lab.unit, lab.comparator) == (120.0, "mg/L", "")
    assert (lab.reference_low, lab.reference_high) == (0.0, 5.0)
    assert lab.status is LabStatus.FINAL
    assert lab.observed_at == datetime(2026, 1, 31, 8, tzinfo=UTC)
    assert lab.source == "hl7:M-7:OBX 1"


@pytest.mark.parametrize(
    ("kind", "value", "expected"),
    [
        ("NM", "120", ("", 120.0)),
        ("SN", "^120", ("", 120.0)),
        ("SN", "<^5", ("<", 5.0)),
        ("SN", ">=^100", (">=", 100.0)),
        ("SN", "=^5", ("", 5.0)),
        ("ST", "<5", ("<", 5.0)),
        ("ST", "> 100", (">", 100.0)),
    ],
)
def test_numbers_are_read_with_their_comparator(join: Join, kind: str, value: str, expected: tuple[str, float]) -> None:
    assert values(join(oru(obx(value, kind)))) == [expected]


@pytest.mark.parametrize(
    ("segment", "reason"),
    [
        (obx("1^-^5", "SN"), "a range or a ratio"),
        (obx("^1^:^128", "SN"), "a range or a ratio"),
        (obx("positive", "ST"), "not a number"),
        (obx("1,5"), "not a number"),
        (obx("1~2"), "or several"),
        (obx(""), "no value"),
        (obx("5", unit="furlong"), "the unit does not fit"),
        (obx("5", unit=""), "the unit does not fit"),
        (obx("5", code="2999-9^?^LN"), "LOINC 2999-9 is not among"),
        (obx("5", code="CRP^C-reactive protein^L"), "the code CRP is neither LOINC (LN) nor in the site's table"),
        (obx("5", code="Mrs Canary 1950^x^L"), "the code of OBX-3 is neither"),
        (obx("5", "CWE"), "value type"),
        (obx("5", status="I"), "OBX-11"),
        (obx("5", at="202601"), "the time is not understood"),
        (obx("5", at="20260231"), "calendar"),
        (obx("5", at="20260120"), "outside the window of 72 h before to 24 h after"),
        (obx("5", status="X"), "cancelled"),
    ],
)
def test_what_cannot_be_used_is_said_and_never_guessed(join: Join, segment: str, reason: str) -> None:
    found = join(oru(segment))
    assert found.labs == ()
    assert reason in reasons(found) and "hl7:M-1:OBX 1" in reasons(found)


def test_a_range_that_cannot_be_read_costs_the_range_and_not_the_value(join: Join) -> None:
    found = join(oru(obx("5", range="negative")))
    assert values(found) == [("", 5.0)] and found.labs[0].reference_high is None
    assert "without its reference range" in reasons(found)


@pytest.mark.parametrize(
    ("text", "ends"), [("<5", (None, 5.0)), (">= 1.5", (1.5, None)), ("1 - 5", (1.0, 5.0)), ("5-1", (None, None))]
)
def test_reference_ranges_may_have_one_end(join: Join, text: str, ends: tuple[float | None, float | None]) -> None:
    (lab,) = join(oru(obx("5", range=text))).labs
    assert (lab.reference_low, lab.reference_high) == ends


def test_loinc_may_stand_in_the_second_triplet(join: Join) -> None:
    assert values(join(oru(obx("5", code="CRP^x^L^1988-5^CRP^LN")))) == [("", 5.0)]


def test_a_loinc_code_beside_the_name_of_another_analyte_is_refused(join: Join) -> None:
    found = join(oru(obx("200", code="2500-7^Transferrin^LN", unit="mg/dL")))
    assert values(found) == []
    assert "its LOINC code and its name are two analytes" in reasons(found)


def test_the_site_s_table_names_local_codes_and_units(join: Join, tmp_path: Path) -> None:
    table = tmp_path / "codes.csv"
    table.write_text("code,loinc,unit\nXCRP,1988-5,mg/dL\n超敏CRP,30522-7,\n", encoding="utf-8")
    local = obx("12", code="XCRP^x^L", unit="")
    named = obx("12", code="XCRP^x^L", unit="mg/L", sub="2")
    assert values(join(oru(local), codes=str(table))) == [("", 120.0)]
    assert values(join(oru(named, control_id="2"), codes=str(table))) == [("", 12.0)]


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("code,loinc\n", "no column unit"),
        ("code,loinc,unit\nA,0000-0,\n", "row 2: the LOINC code"),
        ("code,loinc,unit\nA,1988-5,K/uL\n", "row 2: the unit does not fit"),
        ("code,loinc,unit\nA,1988-5,\nA,1988-5,\n", "row 3: a code twice"),
        ("code,loinc,unit\n,1988-5,\n", "row 2: no code"),
        ("code,loinc,unit\nA\n", "row 2: the LOINC code"),
    ],
)
def test_a_wrong_table_of_codes_is_named_with_its_row(join: Join, tmp_path: Path, text: str, reason: str) -> None:
    table = tmp_path / "codes.csv"
    table.write_text(text, encoding="utf-8")
    source = Hl7Records(Hl7Settings(codes=str(table), data_dir=str(tmp_path)))
    with pytest.raises(ConfigError, match=reason):
        source.check()
    found = join(oru(), codes=str(table))
    assert "the site's table of codes cannot be used" in reasons(found)
    assert values(found) == [("", 120.0)]


def test_obx_14_goes_before_obr_7_and_names_its_zone(join: Join) -> None:
    (lab,) = join(oru(obx("5", at="20260131093000+0800"))).labs
    assert lab.observed_at == datetime(2026, 1, 31, 1, 30, tzinfo=UTC)


def test_a_time_without_a_zone_is_in_that_of_the_settings(join: Join) -> None:
    without = oru(obx("5", at="20260131093000"))
    (lab,) = join(without, timezone="Asia/Shanghai").labs
    assert lab.observed_at.utcoffset() == timedelta(hours=8)


def test_a_time_without_a_zone_is_in_that_of_the_message_where_it_names_one(join: Join) -> None:
    (lab,) = join(oru(obx("5", at="20260131093000")).replace(b"0131080500", b"0131080500+0300")).labs
    assert lab.observed_at == datetime(2026, 1, 31, 9, 30, tzinfo=timezone(timedelta(hours=3)))


def test_a_correction_replaces_what_was_said_before_and_a_late_final_does_not_undo_it(join: Join) -> None:
    first, corrected = oru(obx("120")), oru(obx("12", status="C"), control_id="2")
    found = join(first, corrected, oru(obx("121"), control_id="3"))
    assert values(found) == [("", 12.0)] and found.labs[0].status is LabStatus.CORRECTED
    assert "hl7:M-1:OBX 1: replaced" in reasons(found) and "hl7:3:OBX 1: a later message that is less" in reasons(found)


def test_a_correction_may_correct_the_time(join: Join) -> None:
    found = join(oru(obx("120")), oru(obx("120", status="C", at="20260131060000+0000"), control_id="2"))
    assert [lab.observed_at.hour for lab in found.labs] == [6]


def test_a_correction_that_cannot_be_read_takes_away_what_it_corrects(join: Join) -> None:
    found = join(oru(obx("120")), oru(obx("hemolyzed", "ST", status="C"), control_id="2"))
    assert found.labs == ()
    assert "hl7:2:OBX 1: the value is not a number" in reasons(found)


@pytest.mark.parametrize("status", ["W", "D", "X"])
def test_a_withdrawal_takes_even_a_corrected_value_away(join: Join, status: str) -> None:
    found = join(
        oru(obx("120")), oru(obx("12", status="C"), control_id="2"), oru(obx("", status=status), control_id="3")
    )
    assert found.labs == ()


def test_a_preliminary_value_counts_until_the_final_one_comes(join: Join) -> None:
    assert join(oru(obx("100", status="P"))).labs[0].status is LabStatus.PRELIMINARY
    final = join(oru(obx("120"), control_id="2"))
    assert values(final) == [("", 120.0)] and final.labs[0].status is LabStatus.FINAL


def test_a_status_that_is_not_said_is_not_taken_as_final(join: Join) -> None:
    assert join(oru(obx("100", status=""))).labs[0].status is LabStatus.PRELIMINARY


def test_of_several_times_under_one_order_the_latest_counts(join: Join) -> None:
    late, early = obx("9", at="20260131090000+0000"), obx("7", at="20260131070000+0000")
    assert values(join(oru(late, early))) == [("", 9.0)]


@pytest.mark.parametrize(
    ("pid", "is_joined"),
    [
        (PID, True),
        (PID.replace("^^^HOSP", "^^^HOSP&1.2.3&ISO"), True),
        (PID.replace("^^^HOSP", ""), True),
        (PID.replace("^^^HOSP", "").replace("19500102", ""), False),
        (PID.replace("HOSP", "OTHER"), False),
        (PID.replace("19500102", "19500103"), False),
        (PID.replace("|F", "|M"), False),
        (PID.replace("|19500102|F", ""), False),
        (PID.replace("|F", "|U"), True),
        (PID.replace("P-1", "P-2"), False),
        (PID.replace("P-1^^^HOSP^MR", "N-9^^^NID~P-1^^^HOSP^MR"), True),
    ],
)
def test_a_message_is_joined_by_identifier_and_issuer_with_birth_date_and_sex(
    join: Join, pid: str, is_joined: bool
) -> None:
    found = join(oru(pid=pid))
    assert bool(found.labs) is is_joined
    assert is_joined or found.rejected
    assert "1950" not in reasons(found) and "P-1" not in reasons(found)


def test_an_update_of_the_identity_fills_up_and_corrects(join: Join) -> None:
    bare, wrong = PID.replace("|19500102|F", ""), PID.replace("19500102", "19500103")
    assert join(oru(pid=bare)).labs == ()
    update = message(PID, kind="ADT^A08^ADT_A01", control_id="U")
    assert values(join(update)) == [("", 120.0)]
    assert values(join(oru(obx("7"), pid=wrong, control_id="2"))) == [("", 120.0)]  # said after the update: contradicts
    assert values(join(message(PID, kind="ADT^A08", control_id="U2"))) == [("", 7.0)]


def test_an_update_to_another_birth_date_takes_the_values_away(join: Join) -> None:
    join(oru())
    assert join(message(PID.replace("19500102", "19600101"), kind="ADT^A08", control_id="U")).labs == ()


def test_a_merge_joins_what_came_under_the_old_identifier(join: Join) -> None:
    old = PID.replace("P-1", "P-0")
    assert join(oru(pid=old)).labs == ()
    merge = message(PID, "MRG|P-0^^^HOSP", kind="ADT^A40^ADT_A39", control_id="A40")
    assert values(join(merge)) == [("", 120.0)]


def test_a_study_under_the_old_identifier_finds_what_came_under_the_new_one(join: Join) -> None:
    merge = message(PID, "MRG|P-0^^^HOSP", kind="ADT^A40", control_id="A40")
    assert values(join(oru(), merge, study=study_of(patient_id="P-0"))) == [("", 120.0)]


def test_a_chain_of_merges_is_followed_and_birth_date_and_sex_still_check(join: Join) -> None:
    one = message(PID.replace("P-1", "P-2"), "MRG|P-3^^^HOSP", kind="ADT^A40", control_id="1")
    two = message(PID, "MRG|P-2^^^HOSP", kind="ADT^A40", control_id="2")
    mine, other = oru(pid=PID.replace("P-1", "P-3"), control_id="3"), PID.replace("P-1", "P-3").replace("|F", "|M")
    found = join(one, two, mine, oru(obx("7"), pid=other, control_id="4"))
    assert values(found) == [("", 120.0)]
    assert "sex differs" in reasons(found)


def test_a_wrong_merge_neither_gives_a_stranger_the_results_nor_takes_them_from_their_patient(join: Join) -> None:
    stranger = PID.replace("P-1", "P-2").replace("19500102|F", "19800505|M")
    merge = message(stranger, "MRG|P-1^^^HOSP", kind="ADT^A40", control_id="A40")
    theirs = study_of(patient_id="P-2", birth_date=date(1980, 5, 5), sex="M")
    found = join(oru(), merge, study=theirs)
    assert found.labs == ()
    assert "birth date and sex differ" in reasons(found)
    assert values(join()) == [("", 120.0)]


def test_a_merge_fills_up_birth_date_and_sex_that_the_result_does_not_say(join: Join) -> None:
    bare = PID.replace("P-1", "P-0").replace("|19500102|F", "")
    merge = message(PID, "MRG|P-0^^^HOSP", kind="ADT^A40", control_id="A40")
    assert values(join(oru(pid=bare), merge)) == [("", 120.0)]


def test_a_merge_of_another_issuer_s_identifier_joins_nothing(join: Join) -> None:
    merge = message(PID, "MRG|P-0^^^OTHER", kind="ADT^A40", control_id="A40")
    assert join(oru(pid=PID.replace("P-1", "P-0")), merge).labs == ()


def test_of_a_message_about_two_patients_each_has_their_own(join: Join) -> None:
    other = PID.replace("P-1", "P-2").replace("1950", "1960")
    found = join(message(other, OBR, obx("7"), PID, OBR, obx("120")))
    assert values(found) == [("", 120.0)]


def test_text_lines_are_one_report_and_one_from_before_the_study_is_a_prior(join: Join) -> None:
    lines = (
        "OBX|1|FT|18748-4^x^LN||Heart normal.\\.br\\No effusion.||||||F",
        "OBX|2|TX|x||无积液。~第二||||||F",
    )
    (text,) = join(oru(*lines)).texts
    assert text.text == "Heart normal.\nNo effusion.\n无积液。\n第二"
    assert (text.kind, text.report_id, text.source) == (TextKind.PRIOR, "F-1", "hl7:M-1:OBX 1")
    assert text.authored_at == datetime(2026, 1, 31, 8, tzinfo=UTC)


@pytest.mark.parametrize("place", [2, 3, 18, 20])
def test_the_report_with_the_accession_number_of_the_study_is_the_current_one(join: Join, place: int) -> None:
    fields = ["OBR", *([""] * 25)]
    fields[7], fields[place] = "20260131130000+0000", "ACC-1"
    (text,) = join(oru("OBX|1|TX|x||No effusion.||||||F", obr="|".join(fields))).texts
    assert text.kind is TextKind.CURRENT


def test_a_report_from_after_the_study_that_is_not_about_it_is_not_used(join: Join) -> None:
    found = join(oru("OBX|1|TX|x||Later.||||||F", obr=OBR.replace("0131080000", "0131130000")))
    assert found.texts == () and "a prior that is not from before the study" in reasons(found)


def test_a_later_version_of_a_report_replaces_it_and_a_withdrawal_takes_it_away(join: Join) -> None:
    line = "OBX|1|TX|x||{}||||||{}"
    found = join(oru(line.format("One", "F")), oru(line.format("Two", "C"), control_id="2"))
    assert [text.text for text in found.texts] == ["Two"]
    assert join(oru(line.format("", "W"), control_id="3")).texts == ()


def test_reports_of_two_departments_or_services_under_one_number_are_two(join: Join) -> None:
    line = "OBX|1|TX|x||{}||||||F"
    both = message(PID, OBR, line.format("One"), OBR.replace("24323-8", "X"), line.format("Two"))
    other = oru(line.format("Three"), control_id="2").replace(b"|LIS|", b"|RIS|")
    found = join(both, other)
    assert [text.text for text in found.texts] == ["One", "Two", "Three"]
    assert len({text.report_id for text in found.texts}) == 3


def test_a_comment_among_values_is_no_report(join: Join) -> None:
    found = join(oru(obx("5"), "OBX|2|TX|x||hemolyzed||||||F"))
    assert found.texts == () and "hl7:M-1:OBX 2: a comment" in reasons(found)


@pytest.mark.parametrize(("kind", "event"), [("ORM", "O01"), ("OMG", "O19"), ("OMI", "O23")])
def test_the_reason_for_the_exam_comes_with_the_order(join: Join, kind: str, event: str) -> None:
    obr = ORDER + "|||||||fever since Monday" + "|" * 18 + "R05^Cough^I10~^chest pain"
    (text,) = join(message(PID, "ORC|NW", obr, kind=f"{kind}^{event}")).texts
    assert text.kind is TextKind.ORDER
    assert text.text == "Cough\nchest pain\nfever since Monday"


def test_the_order_of_another_study_and_a_cancelled_one_are_not_used(join: Join) -> None:
    mine = ORDER.replace("PL-9", "ACC-1") + "|||||||fever"
    found = join(message(PID, "ORC|NW", ORDER.replace("PL-9|", "PL-9|ACC-2") + "|||||||fever", kind="ORM^O01"))
    assert found.texts == () and "the order of another study" in reasons(found)
    assert len(join(message(PID, "ORC|NW", mine, kind="ORM^O01", control_id="2")).texts) == 1
    assert join(message(PID, "ORC|CA", mine, kind="ORM^O01", control_id="3")).texts == ()


def test_what_stands_in_the_way_of_joining_is_said(join: Join, tmp_path: Path) -> None:
    nothing = Hl7Records(Hl7Settings(data_dir=str(tmp_path / "other"))).records_for(study_of())
    assert "no HL7 message has been received yet" in reasons(nothing)
    assert "no Patient ID" in reasons(join(study=study_of(patient_id="")))
    assert "no date and time" in reasons(join(study=study_of(started_at=None)))
    assert "no HL7 message has the Patient ID" in reasons(join(oru(), study=study_of(patient_id="P-77")))


def test_a_file_that_cannot_be_read_costs_the_records_and_not_the_report(tmp_path: Path) -> None:
    (tmp_path / "hl7").mkdir()
    (tmp_path / "hl7" / "messages.sqlite3").write_bytes(b"no database" * 1000)
    found = Hl7Records(Hl7Settings(data_dir=str(tmp_path))).records_for(study_of())
    assert "cannot be read" in reasons(found)


def test_many_rejections_of_one_reason_are_one_line(join: Join) -> None:
    found = join(oru(*(obx("5", code="XY^x^L") for _ in range(500))))
    (only,) = found.rejected
    assert only.source.endswith("hl7:M-1:OBX 5 and 495 more")


@pytest.mark.parametrize(
    ("settings", "word"), [({"timezone": "Mars"}, "timezone"), ({"window_hours_before": -1.0}, "window_hours_before")]
)
def test_a_wrong_setting_is_named(settings: dict[str, object], word: str) -> None:
    with pytest.raises(ConfigError, match=word):
        Hl7Records(Hl7Settings(**settings))  # type: ignore[arg-type]
