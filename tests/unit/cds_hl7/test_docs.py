"""The page that administrators read, held to the code."""

import re
from dataclasses import fields
from pathlib import Path

import pytest

from cds.domain.labs import by_code
from cds.domain.site_codes import site_codes
from cds_hl7.charsets import CODECS
from cds_hl7.desk import TAKEN
from cds_hl7.listener import Hl7ListenerSettings
from cds_hl7.source import Hl7Settings

PAGE = (Path(__file__).parents[3] / "docs" / "howto" / "connect-hl7.md").read_text(encoding="utf-8")


@pytest.mark.parametrize("settings", [Hl7ListenerSettings, Hl7Settings])
def test_every_setting_is_on_the_page(settings: type) -> None:
    named = [field.name for field in fields(settings) if field.name != "data_dir"]
    assert [name for name in named if f"\n{name} = " not in PAGE and f"`{name}" not in PAGE] == []


def test_every_message_that_is_taken_is_on_the_page() -> None:
    assert [event for events in TAKEN.values() for event in events if event not in PAGE] == []
    assert [kind for kind in TAKEN if f"{kind}^" not in PAGE] == []


def test_every_character_set_is_on_the_page() -> None:
    spanned = {f"8859/{part}" for part in range(2, 9)} | {"ISO IR6", "UNICODE"}
    assert [name for name in CODECS if name not in PAGE and name not in spanned] == []


def test_the_table_of_codes_on_the_page_is_one(tmp_path: Path) -> None:
    example = re.search(r"```csv\n(.*?)```", PAGE, re.DOTALL)
    assert example is not None
    (tmp_path / "codes.csv").write_text(example[1], encoding="utf-8")
    found = site_codes(tmp_path / "codes.csv")
    assert found["XCRP"].analyte == by_code("1988-5") and found["XCRP"].unit == "mg/L"
    assert found["超敏CRP"].analyte == by_code("30522-7") and found["超敏CRP"].unit == ""
