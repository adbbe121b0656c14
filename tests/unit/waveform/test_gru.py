"""The recurrent network: what it reads, that it learns and resumes, and that its card says what it cannot support."""

from __future__ import annotations

import csv
from pathlib import Path

import numpy as np
import pytest
import torch

from cds.errors import ConfigError
from cds.features.waveform.beat_inputs import INPUTS, SHAPE, beat_inputs
from cds.features.waveform.gru import GruSpec, SequenceGru, load_gru, save_gru
from cds.testing.phantoms.ecg import synthetic_ecg, write_wfdb
from cds.training.waveform import Settings, train
from cds.training.waveform_data import SERIES_NAMES, read_sequences
from cds.training.waveform_figures import beat_figures
from cds.training.waveform_fit import Schedule, class_weights

SHORT = Settings(width=12, folds=3, schedule=Schedule(epochs=12, patience=12))


@pytest.fixture(scope="module")
def beats(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A manifest of twelve computed persons, half of them with extrasystoles."""
    folder = tmp_path_factory.mktemp("beats")
    rows = []
    for number in range(12):
        ecg = synthetic_ecg(seed=number, seconds=50.0, hz=200.0, rhythm="extrasystoles" if number % 2 else "sinus")
        write_wfdb(folder, f"r{number}", ecg)
        rows.append((f"r{number}", f"p{number}", ""))
    return manifest_of(folder, ("record", "person", "rhythm"), rows)


@pytest.fixture(scope="module")
def series(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Sixty made-up patients, three samples each; LDH rises in those who die."""
    random = np.random.default_rng(0)
    rows: list[tuple[object, ...]] = []
    for number in range(60):
        died = number % 3 == 0
        for day in range(3):
            ldh = 250 + (150 * day if died else 0) + 30 * random.standard_normal()
            rows.append((number, int(died), f"2026-01-0{day + 1} 08:00", "LDH", f"{ldh:.0f}", "U/L"))
    columns = ("patient_id", "outcome", "observed_at", "name", "value", "unit")
    return manifest_of(tmp_path_factory.mktemp("series"), columns, rows)


def manifest_of(
    folder: Path, columns: tuple[str, ...], rows: list[tuple[object, ...]] | list[tuple[str, str, str]]
) -> Path:
    path = folder / "manifest.csv"
    with path.open("w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(columns)
        writer.writerows(rows)
    return path


def test_a_beat_is_its_shape_and_its_intervals_whatever_the_sampling_and_gain() -> None:
    slow, fast = synthetic_ecg(hz=250.0, noise_mv=0.0), synthetic_ecg(hz=1000.0, noise_mv=0.0)
    one = beat_inputs(slow.samples[1], 250.0, slow.peaks)
    other = beat_inputs(fast.samples[1] * 500, 1000.0, fast.peaks)
    assert one.shape == (len(slow.peaks), INPUTS)
    assert np.abs(one[:, :SHAPE] - other[:, :SHAPE]).max() < 0.15
    assert np.abs(one[:, SHAPE:] - other[:, SHAPE:]).max() < 0.02


def test_what_lies_behind_the_end_of_a_sequence_changes_nothing() -> None:
    torch.manual_seed(0)
    for kind in ("beats", "series"):
        network = SequenceGru(GruSpec(kind=kind, inputs=3, classes=("a", "b"))).eval()
        steps = torch.randn(2, 5, 3)
        changed = steps.clone()
        changed[0, 3:] = 99.0
        lengths = torch.tensor([3, 5])
        one, other = network(steps, lengths), network(changed, lengths)
        assert torch.equal(one[0, :3] if kind == "beats" else one[0], other[0, :3] if kind == "beats" else other[0])


def test_weights_that_were_changed_are_refused(tmp_path: Path) -> None:
    spec = GruSpec(kind="series", inputs=3, classes=("a", "b"))
    path = tmp_path / "w.safetensors"
    save_gru(path, SequenceGru(spec), spec)
    assert load_gru(path).spec.classes == ("a", "b")
    path.write_bytes(path.read_bytes()[:-4] + b"\0\0\1\0")
    with pytest.raises(ConfigError, match="do not belong"):
        load_gru(path)
    path.unlink()
    with pytest.raises(ConfigError, match="cannot be read"):
        load_gru(path)


def test_computed_extrasystoles_of_unseen_persons_are_told_apart(beats: Path, tmp_path: Path) -> None:
    longer = Settings(width=16, schedule=Schedule(epochs=25, patience=25, batch=8, learning_rate=1e-2))
    result = train(beats, tmp_path, settings=longer)
    figures = result.metrics["ventricular"]
    assert isinstance(figures, dict)
    assert figures["beats"] > 0
    assert figures["sensitivity"] >= 0.9
    assert figures["ppv"] >= 0.9
    assert "by person, 12 of them" in result.card.read_text()
    assert all(path.read_bytes().startswith(b"\x89PNG") for path in result.curves)
    assert load_gru(result.weights).spec.measured["beats"] == result.metrics["beats"]


def test_an_interrupted_run_ends_as_one_that_was_not(beats: Path, tmp_path: Path) -> None:
    class Interrupted(Exception):
        pass

    def stop(doing: str, done: int, of: int) -> None:
        if done == 5:
            raise Interrupted

    with pytest.raises(Interrupted):
        train(beats, tmp_path / "twice", settings=SHORT, progress=stop)
    assert not (tmp_path / "twice" / "waveform.safetensors").exists()
    resumed = train(beats, tmp_path / "twice", settings=SHORT)
    whole = train(beats, tmp_path / "once", settings=SHORT)
    assert resumed.weights.read_bytes() == whole.weights.read_bytes()


def test_a_folder_of_other_settings_is_refused(beats: Path, tmp_path: Path) -> None:
    train(beats, tmp_path, settings=Settings(width=4, schedule=Schedule(epochs=1)))
    with pytest.raises(ConfigError, match="other data or settings"):
        train(beats, tmp_path, settings=Settings(width=4, seed=8, schedule=Schedule(epochs=1)))


def test_one_persons_beats_are_split_by_time_and_the_card_says_what_that_cannot_support(tmp_path: Path) -> None:
    write_wfdb(tmp_path, "r", synthetic_ecg(seconds=200.0, hz=200.0, rhythm="extrasystoles"))
    manifest = manifest_of(tmp_path, ("record", "person", "rhythm"), [("r", "", "")])
    result = train(manifest, tmp_path / "run", settings=Settings(width=4, schedule=Schedule(epochs=2)))
    card = result.card.read_text()
    assert "The test is on later beats of the same persons" in card
    assert "Fewer than 100 held-out beats of:" in card
    assert "cannot support a claim of use" in card


def test_series_are_cross_validated_by_patient_against_their_last_values(series: Path, tmp_path: Path) -> None:
    result = train(series, tmp_path, settings=SHORT)
    for name in ("GRU over the series", "logistic regression on the last values"):
        figures = result.metrics[name]
        assert isinstance(figures, dict)
        assert figures["auroc"]["value"] > 0.9
    assert (result.metrics["patients"], result.metrics["died"]) == (60, 20)
    assert "not calibrated" in result.card.read_text()


def test_a_value_is_carried_forward_until_there_is_a_newer_one(series: Path) -> None:
    data = read_sequences(series)
    steps = data.steps[0]
    ldh = SERIES_NAMES.index("ldh")
    assert steps.shape == (3, len(SERIES_NAMES))
    assert np.isfinite(steps[:, ldh]).all()
    assert steps[:, SERIES_NAMES.index("ldh measured")].tolist() == [1, 1, 1]
    assert np.isnan(steps[:, SERIES_NAMES.index("albumin")]).all()
    assert steps[1, -1] == pytest.approx(np.log1p(24.0))


def test_figures_count_what_was_there_found_and_named() -> None:
    chances = [np.eye(3)[[0, 0, 1, 2]]]
    figures = beat_figures(chances, [np.array([0, 1, 1, -100])], ("n", "s", "v"))
    assert figures["s"] == {"beats": 2, "found": 1, "named": 1, "sensitivity": 0.5, "ppv": 1.0}
    assert figures["v"] == {"beats": 0, "found": 0, "named": 0, "sensitivity": None, "ppv": None}
    assert figures["accuracy of the commonest class"] == pytest.approx(2 / 3)


def test_a_rare_class_weighs_more_and_an_absent_one_nothing() -> None:
    weights = class_weights([np.array([0] * 100 + [1] * 4 + [-100])], 3)
    assert weights.tolist() == pytest.approx([1.0, 5.0, 0.0])


def test_a_manifest_that_is_neither_says_what_it_must_name(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="for beats a column record"):
        read_sequences(manifest_of(tmp_path, ("a", "b"), [("1", "2", "3")]))
    with pytest.raises(ConfigError, match="row 2: the WFDB header cannot be read"):
        read_sequences(manifest_of(tmp_path, ("record",), [("gone",)]))
