import json
import logging
import warnings
from pathlib import Path

import pytest

from cds import logs


@pytest.fixture
def fresh_logging() -> object:
    root = logging.getLogger()
    kept = root.handlers[:], root.level
    yield
    root.handlers[:], root.level = kept
    logging.captureWarnings(False)


def test_our_logs_are_json_lines(fresh_logging: object, capsys: pytest.CaptureFixture[str]) -> None:
    logs.configure()
    logging.getLogger("cds.service").info("listening on port %d", 5)
    line = json.loads(capsys.readouterr().err)
    assert (line["event"], line["level"], line["logger"]) == ("listening on port 5", "info", "cds.service")
    assert line["timestamp"].endswith("Z")


def test_the_words_of_other_libraries_never_reach_the_log(
    fresh_logging: object, capsys: pytest.CaptureFixture[str]
) -> None:
    logs.configure()
    logging.getLogger("pydicom").warning("invalid value CANARY for PN")
    try:
        raise ValueError("CANARY")
    except ValueError:
        logging.getLogger("cds.service").exception("the analysis raised ValueError")
    out = capsys.readouterr().err
    assert "CANARY" not in out
    assert [json.loads(line)["logger"] for line in out.splitlines()] == ["pydicom", "cds.service"]


def test_the_words_of_a_warning_never_reach_the_log(fresh_logging: object, capsys: pytest.CaptureFixture[str]) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("always")
        logs.configure()
        warnings.warn("Unknown encoding 'CANARY' - using default encoding instead", UserWarning, stacklevel=1)
        logging.captureWarnings(False)
    out = capsys.readouterr().err
    assert "CANARY" not in out
    assert [json.loads(line)["logger"] for line in out.splitlines()] == ["py.warnings"]


def test_every_plugin_of_this_repository_is_one_of_ours() -> None:
    plugins = Path(__file__).parents[2] / "plugins"
    assert {folder.parent.name for folder in plugins.glob("*/__init__.py")} <= logs.ours()
