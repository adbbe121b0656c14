"""`cds evaluate text`: figures on annotated texts of one's own."""

from __future__ import annotations

import csv
import hashlib
import json
from collections import Counter
from pathlib import Path

import numpy as np
import pytest
from typer.testing import CliRunner

from cds.cli import app
from cds.errors import ConfigError
from cds.training.text import _occurrence, evaluate, rules, scores
from cds.training.text_manifest import documents
from support.encoders import encoder

HEADER = ("document", "text", "finding", "assertion", "laterality", "size_mm")
ROWS = (
    ("a", "8 mm nodule in the left lung. No pneumothorax.", "lung_nodule", "PRESENT", "left", "8"),
    ("a", "", "36118008", "negated", "", ""),
    ("b", "No fever or cough.", "fever", "Negated", "", ""),
    ("b", "", "cough", "Affirmed", "", ""),
    ("c", "Possible pneumonia. Small effusion.", "pneumonia", "Possible", "", ""),
    ("d", "Clear lungs.", "", "", "", ""),
)


def manifest(folder: Path, rows: tuple[tuple[str, ...], ...] = ROWS, header: tuple[str, ...] = HEADER) -> Path:
    path = folder / "notes.csv"
    with path.open("w", encoding="utf-8", newline="") as file:
        csv.writer(file).writerows([header, *rows])
    return path


def test_a_finding_is_named_by_key_by_code_or_by_words(tmp_path: Path) -> None:
    found = documents(manifest(tmp_path))
    assert [len(document.annotations) for document in found] == [2, 2, 1, 0]
    assert [each.key or each.words for each in found[0].annotations + found[1].annotations] == [
        "lung_nodule", "pneumothorax", "fever", "cough",
    ]  # fmt: skip


def test_figures_are_those_counted_by_hand(tmp_path: Path) -> None:
    """Of five annotations four are read as annotated; the cough is read as absent."""
    made = json.loads(json.dumps(evaluate(manifest(tmp_path))))
    assert (made["documents"], made["annotations"], made["model"]) == (4, 5, "rules")
    assert made["found"]["f1"]["value"] == 1
    assert made["assertion"]["all"]["f1"]["value"] == pytest.approx(0.8)
    assert made["assertion"]["PRESENT"]["recall"]["value"] == pytest.approx(0.5)
    assert made["assertion"]["ABSENT"]["precision"]["value"] == pytest.approx(2 / 3)
    assert made["finding"]["cough"]["f1"]["value"] == 0
    assert made["laterality"]["f1"]["value"] == made["size_mm"]["f1"]["value"] == 1
    figure = made["assertion"]["all"]["f1"]
    assert 0 <= figure["low"] < figure["value"] <= figure["high"] <= 1


def test_what_is_said_and_not_annotated_is_false_where_the_manifest_knows_the_finding(tmp_path: Path) -> None:
    rows = (("a", "Pneumonia.", "", "", "", ""), ("b", "Pneumonia.", "pneumonia", "P", "", ""))
    made = json.loads(json.dumps(evaluate(manifest(tmp_path, rows))))
    assert made["finding"]["pneumonia"]["precision"]["value"] == 0.5
    assert made["finding"]["pneumonia"]["recall"]["value"] == 1


def test_the_same_words_twice_are_two_findings(tmp_path: Path) -> None:
    rows = (("a", "No cough today. Cough yesterday.", "cough", "A", "", ""), ("a", "", "cough", "P", "", ""))
    made = json.loads(json.dumps(evaluate(manifest(tmp_path, rows))))
    assert made["assertion"]["all"]["f1"]["value"] == 1


def test_a_text_may_lie_in_a_file_beside_the_manifest(tmp_path: Path) -> None:
    (tmp_path / "r1.txt").write_text("右侧胸腔积液。", encoding="utf-8")
    path = manifest(tmp_path, (("r1.txt", "胸腔积液", "present"),), ("file", "finding", "assertion"))
    assert json.loads(json.dumps(evaluate(path)))["assertion"]["all"]["f1"]["value"] == 1


@pytest.mark.parametrize(
    ("rows", "header", "message"),
    [
        ((("x",),), ("words",), "needs text or file, finding, assertion"),
        ((("a", "Text.", "fever", "maybe", "", ""),), HEADER, "row 2: assertion is"),
        ((("a", "Text.", "fever", "P", "up", ""),), HEADER, "row 2: laterality is"),
        ((("a", "Text.", "fever", "P", "", "big"),), HEADER, "row 2: size_mm is"),
        ((("a", "", "fever", "P", "", ""),), HEADER, "row 2: neither text nor file"),
        ((("a", "Text.", "", "", "", ""),), HEADER, "no annotated finding"),
    ],
)
def test_a_wrong_manifest_is_an_error_that_names_the_row(
    tmp_path: Path, rows: tuple[tuple[str, ...], ...], header: tuple[str, ...], message: str
) -> None:
    with pytest.raises(ConfigError, match=message):
        evaluate(manifest(tmp_path, rows, header))


def test_the_command_prints_the_figures_as_json(tmp_path: Path) -> None:
    result = CliRunner().invoke(app, ["evaluate", "text", "--manifest", str(manifest(tmp_path)), "--json"])
    assert result.exit_code == 0, result.output
    assert json.loads(result.stdout)["annotations"] == 5


def test_a_token_encoder_is_measured_on_the_same_manifest(tmp_path: Path) -> None:
    folder = tmp_path / "encoder"
    digest = encoder(folder, head="token", labels={0: "B-pneumonia", 1: "I-pneumonia"})
    made = evaluate(manifest(tmp_path), model=str(folder))
    assert made["model"] == str(folder)
    assert digest == hashlib.sha256((folder / "model.safetensors").read_bytes()).hexdigest()
    with pytest.raises(ConfigError, match=r"model\.safetensors"):
        evaluate(manifest(tmp_path), model=str(tmp_path / "nowhere"))


def test_nothing_to_find_and_nothing_found_is_right() -> None:
    assert {name: float(value) for name, value in scores(np.zeros(3)).items()} == {
        "precision": 1, "recall": 1, "f1": 1,
    }  # fmt: skip
    assert rules("") == []


def test_annotated_words_are_looked_for_alone_before_they_are_looked_for_within_others() -> None:
    seen: Counter[str] = Counter()
    text = "PERC negative, so no PE; PE was feared"
    assert [_occurrence(text, "PE", seen) for _ in range(3)] == [21, 25, 25]
    assert _occurrence("右侧气胸", "气胸", Counter()) == 2
    assert _occurrence("hydropneumothorax", "pneumothorax", Counter()) == 5
