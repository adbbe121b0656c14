"""Whatever bytes a file has, reading it gives records with reasons, and checking it gives a ConfigError or nothing."""

from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from cds.errors import CdsError
from cds_csv.source import CsvRecords

from .conftest import lab, study_of, table

ANY = settings(
    max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow]
)
HEADER = "patient_id,issuer,birth_date,sex,code,name,value,unit,observed_at,status,reference_low\n"
CELLS = st.one_of(
    st.sampled_from(
        ["P-1", "1950-01-02", "F", "1988-5", "CRP", "120", "<5", "mg/L", "2026-01-31T08:00Z", "final", '"', "\x00"]
    ),
    st.text(max_size=12),
)


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "labs.csv"


def survives(path: Path, **locations: str) -> None:
    source = CsvRecords(CsvRecords.Settings(**locations))  # type: ignore[arg-type]
    found = source.records_for(study_of())
    assert found.labs or found.texts or found.rejected
    try:
        source.check()
    except CdsError as error:
        assert path.name in str(error)


@ANY
@given(st.binary(max_size=400))
def test_any_bytes_are_survived(file: Path, content: bytes) -> None:
    file.write_bytes(content)
    survives(file, labs=str(file))
    survives(file, reports=str(file))


@ANY
@given(st.binary(max_size=400))
def test_any_bytes_after_a_good_header_are_survived(file: Path, content: bytes) -> None:
    file.write_bytes(HEADER.encode() + b"P-1,," + content)
    survives(file, labs=str(file))


@ANY
@given(st.lists(st.lists(CELLS, max_size=12), max_size=6))
def test_any_cells_are_survived(file: Path, rows: list[list[str]]) -> None:
    body = "\n".join(",".join(["P-1", *row]) for row in rows)
    file.write_text(HEADER + body, encoding="utf-8", errors="surrogatepass")
    survives(file, labs=str(file))


@ANY
@given(st.integers(0, 2**16), st.binary(min_size=1, max_size=8))
def test_any_damage_to_a_workbook_is_survived(tmp_path: Path, workbook: bytes, at: int, damage: bytes) -> None:
    path = tmp_path / "labs.xlsx"
    place = at % len(workbook)
    path.write_bytes(workbook[:place] + damage + workbook[place + len(damage) :])
    survives(path, labs=str(path))


@pytest.fixture(scope="module")
def workbook(tmp_path_factory: pytest.TempPathFactory) -> bytes:
    import openpyxl

    book = openpyxl.Workbook()
    for line in table((lab(), lab(value="3"))).replace('"', "").splitlines():
        book.worksheets[0].append(line.split(","))
    path = tmp_path_factory.mktemp("book") / "labs.xlsx"
    book.save(path)
    return path.read_bytes()
