"""Names and units against two public laboratory data sets; skipped where they are not at hand.

Yan et al., Nat Mach Intell 2020 (375 in-patients, the same table in Chinese and English), and the MIMIC-III
demo (100 patients, items with LOINC). `CDS_DATA` says where they lie.
"""

import csv
import gzip
import os
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest

from cds.domain.labs import ANALYTES, by_code, contradicts, convert, map_names, parse_value

ROOT = Path(__file__).parents[3]
DATA = Path(os.environ.get("CDS_DATA", ROOT.parent / "shared" / "data"))


def data(name: str) -> Path:
    path = DATA / name
    if not path.is_file():
        pytest.skip(f"{name} is not in CDS_DATA")
    return path


def sheet(name: str) -> tuple[list[str], list[tuple[object, ...]]]:
    openpyxl = pytest.importorskip("openpyxl")
    book = openpyxl.load_workbook(data(name), read_only=True)
    rows = list(book.worksheets[0].iter_rows(values_only=True))
    book.close()
    return [str(cell) for cell in rows[0]], rows[1:]


def by_analyte(name: str) -> dict[str, list[object]]:
    header, rows = sheet(name)
    return {analyte.key: [row[header.index(title)] for row in rows] for title, analyte in map_names(header).items()}


def test_chinese_and_english_headers_lead_to_the_same_analytes_and_values() -> None:
    chinese, english = by_analyte("labs_hairlab_375_zh.xlsx"), by_analyte("labs_hairlab_375_en.xlsx")
    assert len(chinese) == 67, "of 74: serology, soluble IL-2 receptor, SARS-CoV-2 RNA and a bare pH are left out"
    assert chinese.keys() - english.keys() == {"egfr_ckd_epi"}, "a bare eGFR does not say by which formula"
    assert {key: chinese[key] for key in english} == english


def test_the_units_that_the_hospital_uses_put_the_medians_where_their_paper_has_them() -> None:
    """Yan et al. 2020, table 1: LDH in U/L, lymphocytes in %, hs-CRP in mg/L; a wrong factor would be off by tens."""
    values = by_analyte("labs_hairlab_375_zh.xlsx")
    units = {"ldh": "U/L", "lymphocytes_percent": "%", "hs_crp": "mg/L", "creatinine": "μmol/L", "glucose": "mmol/L"}
    for key, (low, high) in {
        "ldh": (100, 1000),
        "lymphocytes_percent": (5, 40),
        "hs_crp": (5, 150),
        "creatinine": (0.5, 2),
        "glucose": (80, 200),
    }.items():
        numbers = sorted(
            convert(float(str(v)), units[key], ANALYTES[key])
            for v in values[key]
            if v is not None and float(str(v)) >= 0
        )
        assert low < numbers[len(numbers) // 2] < high, key


def mimic() -> Iterator[tuple[str, str, str, str]]:
    """LOINC, label, value and unit of each event in blood."""
    with gzip.open(data("labs_mimic3demo_D_LABITEMS.csv.gz"), "rt", newline="") as file:
        items = {item["ITEMID"]: item for item in csv.DictReader(file)}
    with gzip.open(data("labs_mimic3demo_LABEVENTS.csv.gz"), "rt", newline="") as file:
        for event in csv.DictReader(file):
            item = items[event["ITEMID"]]
            if item["FLUID"].lower() == "blood":
                yield item["LOINC_CODE"], item["LABEL"], event["VALUE"], event["VALUEUOM"]


def test_mimics_values_of_known_analytes_convert_and_what_does_not_is_wrongly_coded_there() -> None:
    read: Counter[str] = Counter()
    refused: Counter[tuple[str, str]] = Counter()
    for loinc, _, text, unit in mimic():
        analyte = by_code(loinc)
        if analyte is None:
            continue
        try:
            value = parse_value(text)[1]
        except ValueError:
            refused["no number", ""] += 1
            continue
        try:
            convert(value, unit, analyte)
        except ValueError:
            refused[loinc, unit] += 1
        else:
            read[analyte.key] += 1
    assert read.total() > 58_000
    shares = {(count, "%") for count in ("731-0", "711-2", "704-7", "742-7")}
    assert set(refused) <= {("no number", ""), ("20564-1", ""), ("19991-9", ""), *shares}, refused


def test_mimics_codes_and_labels_of_the_same_item_do_not_contradict_each_other() -> None:
    from cds.domain.labs import by_name

    seen = {(loinc, label, unit) for loinc, label, _, unit in mimic()}
    pairs = {(by_code(loinc), by_name(label, unit), loinc, label) for loinc, label, unit in seen}
    contradicting = {(loinc, label) for code, name, loinc, label in pairs if code and name and code is not name}
    shares = {("731-0", "Lymphocytes"), ("711-2", "Eosinophils"), ("704-7", "Basophils"), ("742-7", "Monocytes")}
    assert contradicting <= shares | {("2500-7", "Transferrin")}
    refused = {
        (loinc, label) for loinc, label, unit in seen if (code := by_code(loinc)) and contradicts(label, unit, code)
    }
    assert refused == {("2500-7", "Transferrin")}, "2500-7 is the iron binding capacity"
