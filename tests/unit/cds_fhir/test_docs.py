"""The page that administrators read, held to the code."""

from dataclasses import fields
from pathlib import Path

import pytest

from cds_fhir.listener import FhirListenerSettings
from cds_fhir.polling import SEARCHES
from cds_fhir.resources import TYPES
from cds_fhir.source import FhirSettings
from cds_fhir.values import STATUSES, WITHDRAWN

PAGE = (Path(__file__).parents[3] / "docs" / "howto" / "connect-fhir.md").read_text(encoding="utf-8")


@pytest.mark.parametrize("settings", [FhirListenerSettings, FhirSettings])
def test_every_setting_is_on_the_page(settings: type) -> None:
    named = [field.name for field in fields(settings) if field.name != "data_dir"]
    assert [name for name in named if f"\n{name} = " not in PAGE and f"`{name}" not in PAGE] == []


def test_every_type_and_status_is_on_the_page() -> None:
    of_reports = {"partial", "appended"}
    wanted = [*TYPES, *SEARCHES, *WITHDRAWN, *(set(STATUSES) - of_reports)]
    assert [name for name in wanted if name not in PAGE] == []
