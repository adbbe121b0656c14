from pathlib import Path

from pydicom.uid import UID, CTImageStorage, JPEG2000Lossless
from typer.testing import CliRunner

from cds_pacs.conformance import app
from cds_pacs.conformance.statement import statement
from cds_pacs.contexts import STORAGE_SOP_CLASSES, TRANSFER_SYNTAXES
from cds_pacs.listener import ListenerSettings
from cds_pacs.status import STATUS_OF

PAGE = Path(__file__).parents[3] / "docs" / "dicom-conformance.md"


def test_the_page_is_what_the_command_prints() -> None:
    printed = CliRunner().invoke(app, [])
    assert printed.exit_code == 0
    assert PAGE.read_text(encoding="utf-8") == printed.stdout, "run: cds conformance > docs/dicom-conformance.md"


def test_every_accepted_sop_class_transfer_syntax_and_status_is_stated() -> None:
    text = statement()
    for uid in (*STORAGE_SOP_CLASSES, *TRANSFER_SYNTAXES, str(CTImageStorage), str(JPEG2000Lossless)):
        assert f"| {UID(uid).name} | {uid} |" in text or f" | {uid} |" in text
    for status in STATUS_OF.values():
        assert f"| 0x{status:04X} |" in text


def test_every_setting_of_the_listener_is_stated_with_its_default() -> None:
    text = statement()
    for name in ListenerSettings.__slots__:
        assert f"| `{name}` | {getattr(ListenerSettings(), name)} |" in text
