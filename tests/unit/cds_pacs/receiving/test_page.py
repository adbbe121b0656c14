"""The page on connecting a PACS is held to the code."""

from __future__ import annotations

from dataclasses import fields
from pathlib import Path

import pytest

from cds_pacs import status
from cds_pacs.listener import ListenerSettings

PAGE = Path(__file__).parents[4] / "docs" / "howto" / "connect-a-pacs.md"


@pytest.mark.parametrize("field", fields(ListenerSettings), ids=lambda field: field.name)
def test_every_limit_stands_on_the_page_with_its_value(field) -> None:
    assert f"| `{field.name}` | {str(field.default).lower()} |" in PAGE.read_text(encoding="utf-8")


def test_every_status_that_we_give_stands_on_the_page() -> None:
    text = PAGE.read_text(encoding="utf-8")
    ours = {value for name, value in vars(status).items() if name.isupper() and isinstance(value, int)}
    for value in (ours | set(status.STATUS_OF.values())) - {status.DUPLICATE_SOP_INSTANCE, 0x0140}:
        assert f"0x{value:04X}" in text
