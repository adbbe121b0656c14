"""The page that administrators read, held to the code."""

import re
from pathlib import Path

from cds_csv.columns import LABS, REPORTS
from cds_csv.source import CsvRecords

from .conftest import NOON, study_of

PAGE = (Path(__file__).parents[3] / "docs" / "howto" / "connect-labs.md").read_text(encoding="utf-8")


def test_every_column_and_every_setting_is_on_the_page() -> None:
    for column in {*LABS, *REPORTS}:
        assert f"`{column}`" in PAGE, column
    for setting in CsvRecords.Settings.__dataclass_fields__:
        assert f"\n{setting} = " in PAGE, setting


def test_the_example_on_the_page_is_read_as_the_page_says(tmp_path: Path) -> None:
    example = re.search(r"```csv\n(.*?)```", PAGE, re.DOTALL)
    assert example is not None
    path = tmp_path / "labs.csv"
    path.write_text(example[1], encoding="utf-8")
    source = CsvRecords(CsvRecords.Settings(labs=str(path), timezone="Asia/Shanghai"))
    patient = study_of().patient
    assert patient.issuer_of_patient_id == ""
    found = source.records_for(study_of(started_at=NOON))
    assert [(value.value, value.unit) for value in found.labs] == [(120.0, "mg/L"), (17.4, "10*9/L")]
    assert found.rejected == ()
