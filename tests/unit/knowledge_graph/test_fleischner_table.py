"""Fleischner 2017, Table 1, written from the publication: doi:10.1148/radiol.2017161659, just below, at and above.

Each line is copied as facts from the table and its text, not from the code: number, risk, diameter, column, months.
"""

import pytest

from knowledge_graph.fleischner import NoduleType, Risk, advise, rounded_mm

LOW, HIGH = Risk.LOW, Risk.HIGH
SOLID = {
    # (multiple, risk): below 6 mm, 6 to 8 mm, above 8 mm
    (False, LOW): ("no routine", "6 to 12 months, then consider CT at 18 to 24", "CT at 3 months, PET/CT, or tissue"),
    (False, HIGH): ("optional CT at 12", "6 to 12 months, then CT at 18 to 24", "CT at 3 months, PET/CT, or tissue"),
    (True, LOW): ("no routine", "3 to 6 months, then consider CT at 18 to 24", "3 to 6 months, then consider CT at 18"),
    (True, HIGH): ("optional CT at 12", "3 to 6 months, then CT at 18 to 24", "3 to 6 months, then CT at 18 to 24"),
}
COLUMNS = [
    # mean diameter in mm, column after rounding to the nearest whole millimetre
    (1.0, 0), (5.0, 0), (5.4, 0), (5.49, 0),
    (5.5, 1), (6.0, 1), (6.1, 1), (7.0, 1), (7.9, 1), (8.0, 1), (8.49, 1),
    (8.5, 2), (9.0, 2), (30.0, 2),
]  # fmt: skip


@pytest.mark.parametrize(("diameter_mm", "column"), COLUMNS)
@pytest.mark.parametrize(("multiple", "risk"), SOLID)
def test_every_row_of_table_1a_below_at_and_above_each_limit(
    multiple: bool, risk: Risk, diameter_mm: float, column: int
) -> None:
    (advice,) = advise(NoduleType.SOLID, diameter_mm, multiple=multiple, risks=(risk,))
    assert SOLID[multiple, risk][column] in advice.text[0]
    named = ("<6 mm", "6-8 mm", ">8 mm")[column]
    assert advice.row == f"{'multiple' if multiple else 'single'}, {risk}, {named}"
    assert advice.table.startswith("Table 1A")


SUBSOLID = {
    # (multiple, type): below 6 mm, 6 mm or more
    (False, NoduleType.GROUND_GLASS): (
        "no routine follow-up",
        "6 to 12 months to see whether it persists, then CT every 2",
    ),
    (False, NoduleType.PART_SOLID): ("no routine follow-up", "3 to 6 months to see whether it persists"),
    (True, NoduleType.GROUND_GLASS): ("3 to 6 months; if stable, consider CT at 2 and 4", "3 to 6 months; further"),
    (True, NoduleType.PART_SOLID): ("3 to 6 months; if stable, consider CT at 2 and 4", "3 to 6 months; further"),
}


@pytest.mark.parametrize(
    ("diameter_mm", "large"), [(5.0, False), (5.49, False), (5.5, True), (6.0, True), (6.1, True), (8.5, True)]
)
@pytest.mark.parametrize(("multiple", "kind"), SUBSOLID)
def test_every_row_of_table_1b_below_at_and_above_its_limit(
    multiple: bool, kind: NoduleType, diameter_mm: float, large: bool
) -> None:
    (advice,) = advise(kind, diameter_mm, multiple=multiple, risks=(LOW, HIGH))
    assert SUBSOLID[multiple, kind][large] in advice.text[0]
    assert advice.row.endswith(">=6 mm" if large else "<6 mm")
    assert advice.table.startswith("Table 1B")


@pytest.mark.parametrize(
    ("solid_mm", "words"),
    [
        (3.0, "every year for 5 years"),
        (5.49, "every year for 5 years"),
        (5.5, "highly suspicious"),
        (6.0, "highly suspicious"),
        (8.0, "highly suspicious"),
        (8.49, "highly suspicious"),
        (8.5, "PET/CT, biopsy or resection"),
        (12.0, "PET/CT, biopsy or resection"),
    ],
)
def test_a_single_part_solid_nodule_is_judged_by_its_solid_component(solid_mm: float, words: str) -> None:
    (advice,) = advise(NoduleType.PART_SOLID, 15.0, multiple=False, risks=(LOW,), solid_mm=solid_mm)
    assert words in advice.text[0]
    assert "solid component" in advice.row


def test_a_part_solid_nodule_below_6_mm_needs_no_follow_up_whatever_its_component() -> None:
    (advice,) = advise(NoduleType.PART_SOLID, 5.4, multiple=False, risks=(LOW,), solid_mm=4.0)
    assert advice.row == "single, part-solid, <6 mm"


@pytest.mark.parametrize("whole", range(1, 31))
def test_the_mean_of_two_axes_is_rounded_half_up_whatever_the_floating_point_makes_of_it(whole: int) -> None:
    for tenths in range(5):
        axes = (whole + 0.5 + tenths / 10, whole + 0.5 - tenths / 10)
        assert rounded_mm(sum(axes) / 2) == whole + 1
