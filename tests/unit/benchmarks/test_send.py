from __future__ import annotations

import json
from pathlib import Path

import pytest
import send as benchmark
from receiving.receivers import STORESCP

pytestmark = pytest.mark.skipif(not STORESCP.exists(), reason="DCMTK is not installed: apt-get install dcmtk")


def test_reports_are_delivered_alone_and_over_a_kept_association(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(benchmark, "RECEIVERS", ("dcmtk-tuned",))

    status = benchmark.main(["--times", "2", "--folder", str(tmp_path), "--json", str(tmp_path / "figures.json")])

    (figures,) = json.loads((tmp_path / "figures.json").read_text(encoding="utf-8"))
    assert status == 0
    assert figures["receiver"] == "DCMTK storescp, tuned"
    assert figures["fresh"] > 0 and figures["kept"] > 0
    assert "| DCMTK storescp, tuned |" in capsys.readouterr().out
    assert [left.name for left in tmp_path.iterdir()] == ["figures.json"]
