from __future__ import annotations

import pytest
from receiving import receivers as names
from receiving import table
from receiving.measure import Run, Small


def a_run(key: str, rate: float, round_number: int = 1, rows_seconds: float | None = None) -> Run:
    return Run(
        key=key,
        shape="ct",
        associations=4,
        round=round_number,
        objects=100,
        object_bytes=500_000,
        seconds=100 / rate,
        rows_seconds=rows_seconds,
    )


def a_small(key: str, storescu_rate: float) -> Small:
    return Small(key=key, round=1, setup_ms=6.0, echo_ms=0.5, storescu_rate=storescu_rate)


def test_a_ratio_is_the_median_of_the_ratios_within_each_round() -> None:
    runs = [a_run(names.FLOOR_FSYNC, rate, number) for number, rate in enumerate((100, 1000, 10), start=1)]
    runs += [a_run(names.OURS_DURABLE, rate, number) for number, rate in enumerate((90, 800, 9.5), start=1)]
    floor, ours = table.rows(runs)

    assert floor.ratios == {names.FLOOR_FSYNC: 1.0}
    assert ours.ratios[names.FLOOR_FSYNC] == pytest.approx(0.9)  # of 0.9, 0.8 and 0.95
    assert (ours.rate, ours.lowest, ours.highest) == pytest.approx((90, 9.5, 800))
    assert ours.megabytes_per_second == pytest.approx(45)


def test_a_node_has_a_row_of_its_own_until_everything_is_in_the_ledger() -> None:
    found = table.rows([a_run(names.OURS, 200, rows_seconds=2.0)])

    assert [(row.key, row.rate) for row in found] == [
        (names.OURS, pytest.approx(200)),
        (names.OURS + table.IN_LEDGER, pytest.approx(50)),
    ]


def test_the_targets_say_what_is_met_and_what_is_missed() -> None:
    runs = [a_run(names.FLOOR_FSYNC, 100), a_run(names.ORTHANC_DURABLE, 30), a_run(names.DCMTK, 100)]
    runs += [a_run(names.ORTHANC_TUNED, 10), a_run(names.PYNETDICOM_TUNED, 20)]
    runs += [a_run(names.OURS_DURABLE, 90), a_run(names.OURS, 110)]
    small = [a_small(names.OURS_DURABLE, 700), a_small(names.DCMTK_SHIPPED, 23)]

    met = {target.text: target.met for target in table.targets(table.rows(runs), small)}

    assert met == {
        "ct, 4 associations: durable to the floor with fsync": True,
        "ct, 4 associations: durable to Orthanc, tuned, durable": False,
        "ct, 4 associations: not durable to DCMTK, tuned": False,
        "ct, 4 associations: not durable to Orthanc, tuned": True,
        "ct, 4 associations: not durable to pynetdicom, tuned": False,
        "association set-up and release, ms": False,
        "storescu as packaged: durable to DCMTK as shipped": True,
    }


def test_our_node_has_the_same_targets_with_any_number_of_processes() -> None:
    runs = [a_run(names.FLOOR_FSYNC, 100), a_run(f"{names.OURS_DURABLE}-2", 80, rows_seconds=9.0)]
    found = [(target.text, target.met) for target in table.targets(table.rows(runs), [])]
    assert found == [("ct, 4 associations, 2 processes: durable to the floor with fsync", False)]


def test_the_tables_are_printed_with_every_receiver_and_block() -> None:
    lines: list[str] = []
    titles = {names.FLOOR: "floor", names.OURS_DURABLE: "ours"}
    found = table.rows([a_run(names.FLOOR, 400), a_run(names.OURS_DURABLE, 100, rows_seconds=2.0)])
    table.print_overview(found, titles, lines.append)
    table.print_rows(found, titles, lines.append)
    table.print_small([a_small(names.OURS_DURABLE, 700)], titles, lines.append)
    table.print_targets(table.targets(found, [a_small(names.OURS_DURABLE, 700)]), lines.append)

    assert "| receiver | ct 4 |" in lines
    assert "| ours | 100 | 100 to 100 | 50 | 0.25 |  |  |  |" in lines
    assert "| ours, until in the ledger | 50 |" in lines
    assert "| ours | 700 | 6.00 | 0.500 |" in lines
    assert "| association set-up and release, ms | <= 5 | 6.00 | MISSED |" in lines
