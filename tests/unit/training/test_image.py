"""`cds.training.image`: from a manifest to weights, and back to figures."""

from __future__ import annotations

import csv
import io
import json
import tarfile
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from cds.errors import ConfigError
from cds.features.xray.model import XrayModel
from cds.training.image import Schedule, TrainSettings, evaluate, split_of, train
from cds.training.image_augment import augmented
from cds.training.image_data import load_images, person_folds, read_manifest
from cds.training.image_kermany import person_of, unpack

TINY = TrainSettings(
    size=32,
    depths=(1, 1, 1, 1),
    widths=(4, 8, 8, 16),
    members=2,
    holdout=3,
    embedding=4,
    device="cpu",
    schedule=Schedule(steps=24, batch=8, learning_rate=5e-3, check_every=8, mixup=0.2),
)


def tell_nobody(doing: str, done: int, of: int) -> None:
    pass


@pytest.fixture(scope="module")
def manifest(tmp_path_factory) -> Path:
    """Forty pictures of twenty persons; the ill have a bright patch low in one dark field."""
    folder = tmp_path_factory.mktemp("data")
    rng = np.random.default_rng(1)
    rows, columns = np.mgrid[0:64, 0:64] / 64.0
    with (folder / "manifest.csv").open("w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(("path", "label", "person"))
        for number in range(40):
            label = number // 2 % 2
            picture = 0.8 - 0.6 * sum(
                np.exp(-(((columns - x) / 0.15) ** 2) - ((rows - 0.5) / 0.3) ** 2) for x in (0.3, 0.7)
            )
            picture += label * 0.6 * np.exp(-(((columns - 0.3) / 0.1) ** 2) - ((rows - 0.6) / 0.1) ** 2)
            picture += rng.normal(0, 0.02, picture.shape)
            Image.fromarray(np.clip(picture * 255, 0, 255).astype(np.uint8)).save(folder / f"{number}.png")
            writer.writerow((f"{number}.png", ("NORMAL", "PNEUMONIA")[label], f"p{number // 2}"))
    return folder / "manifest.csv"


@pytest.fixture(scope="module")
def result(manifest, tmp_path_factory):
    return train(manifest, tmp_path_factory.mktemp("run"), settings=TINY)


def test_training_writes_weights_that_load_and_read(result):
    reading = XrayModel.load(result.weights, "cpu").read(np.linspace(0, 1, 4096, dtype=np.float32).reshape(64, 64))
    assert 0.0 <= reading.interval[0] <= reading.probability <= reading.interval[1] <= 1.0
    assert len(reading.embedding) == 4
    assert len(reading.heat_map) == len(reading.heat_map[0]) == 14


def test_the_same_seed_gives_the_same_weights(manifest, result, tmp_path):
    assert train(manifest, tmp_path, settings=TINY).weights.read_bytes() == result.weights.read_bytes()


def test_an_interrupted_run_goes_on_and_ends_with_the_same_weights(manifest, result, tmp_path):
    class Interrupted(Exception):
        pass

    def cut(doing: str, done: int, of: int) -> None:
        if "network 2" in doing:
            raise Interrupted

    with pytest.raises(Interrupted):
        train(manifest, tmp_path, settings=replace(TINY, schedule=TINY.schedule), progress=cut)
    steps: list[str] = []
    again = train(manifest, tmp_path, settings=TINY, progress=lambda doing, done, of: steps.append(doing))
    assert not any("network 1" in step for step in steps)
    assert again.weights.read_bytes() == result.weights.read_bytes()


def test_training_in_bfloat16_gives_other_weights_that_read_as_well(manifest, result, tmp_path):
    half = train(manifest, tmp_path, settings=replace(TINY, half=True))
    assert half.weights.read_bytes() != result.weights.read_bytes()
    assert json.loads(half.sidecar.read_text())["training"]["settings"]["half"] is True
    assert np.isfinite(half.metrics["held_out"]["auroc"]["value"])


def test_a_checkpoint_of_other_settings_is_refused_and_a_cut_one_too(manifest, tmp_path):
    train(manifest, tmp_path, settings=TINY)
    with pytest.raises(ConfigError, match="other data or settings"):
        train(manifest, tmp_path, settings=replace(TINY, seed=8))
    checkpoint = tmp_path / "member-0.safetensors"
    checkpoint.write_bytes(checkpoint.read_bytes()[:1000])
    with pytest.raises(ConfigError, match="cannot be read"):
        train(manifest, tmp_path, settings=TINY)


def test_the_card_says_what_was_measured(result):
    card = result.card.read_text(encoding="utf-8")
    sidecar = json.loads(result.sidecar.read_text(encoding="utf-8"))
    held = sidecar["measured"]["held_out"]["balanced_accuracy"]
    assert f"| Balanced accuracy | {held['value']:.3f} ({held['low']:.3f} to {held['high']:.3f})" in card
    assert sidecar["sha256"] in card
    assert "| framed in black |" in card


def test_no_person_is_in_two_parts(manifest):
    images = load_images(read_manifest(manifest), 36, tell_nobody)
    split = split_of(images, TINY)
    parts = [split.held, *split.folds]
    assert sorted(np.concatenate(parts).tolist()) == list(range(40))
    persons = [set(images.persons[part].tolist()) for part in parts]
    assert sum(map(len, persons)) == len(set.union(*persons)) == 20
    assert not persons[1] & set(images.persons[split.training(0)].tolist())


def test_persons_who_share_an_image_are_one_group(manifest, tmp_path):
    rows = read_manifest(manifest)
    copy = replace(rows[4], person="another name")
    images = load_images([*rows, copy], 36, tell_nobody)
    assert images.persons[4] == images.persons[5] == images.persons[40]


def test_evaluation_has_every_figure_with_its_interval_and_says_what_was_skipped(manifest, result, tmp_path):
    lines = manifest.read_text().splitlines()
    broken = manifest.parent / "broken.jpeg"
    broken.write_bytes(b"\xff\xd8\xff garbage")
    other = manifest.parent / "with_broken.csv"
    other.write_text("\n".join([*lines, "broken.jpeg,1,x"]))
    figures = evaluate(other, model=result.weights, device="cpu", repeats=50)
    json.dumps(figures)
    assert (figures["n"], figures["n_persons"]) == (40, 20)
    assert figures["skipped"] == [
        {"row": 42, "file": "broken.jpeg", "reason": "image file broken.jpeg cannot be read: UnidentifiedImageError"}
    ]
    for name in ("auroc", "balanced_accuracy", "accuracy", "sensitivity", "specificity", "ece", "brier"):
        assert figures[name]["low"] <= figures[name]["high"]


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("file,label\na.png,1\n", "no column path; it has file, label"),
        ("path,label\n", "header and no rows"),
        ("path,label\n,1\n", "row 2 of the manifest has no path"),
        ("path,label\nhere.png,1\nhere.png,ill\n", "row 3 of the manifest has the label ILL"),
        ("path,label\ngone.png,1\n", "row 2 of the manifest names gone.png, which is not there"),
    ],
)
def test_a_wrong_manifest_is_refused_with_the_row(tmp_path, content, message):
    (tmp_path / "here.png").write_bytes(b"")
    (tmp_path / "manifest.csv").write_text(content)
    with pytest.raises(ConfigError, match=message):
        read_manifest(tmp_path / "manifest.csv")


def test_a_manifest_that_is_not_there_is_a_configuration_error(tmp_path):
    with pytest.raises(ConfigError, match="cannot be read"):
        evaluate(tmp_path / "none.csv")


def test_files_none_of_which_can_be_read_are_an_error(tmp_path):
    (tmp_path / "a.png").write_bytes(b"nothing")
    (tmp_path / "manifest.csv").write_text("path,label\na.png,1\n")
    with pytest.raises(ConfigError, match="none of 1 files"):
        load_images(read_manifest(tmp_path / "manifest.csv"), 32, tell_nobody)


def test_too_few_persons_for_a_split_are_an_error_that_says_how_many(manifest):
    images = load_images(read_manifest(manifest), 36, tell_nobody)
    with pytest.raises(ConfigError, match="label 0 has 10 persons; 11 parts"):
        person_folds(images, 11, 0)


def test_augmentation_is_seeded_varies_each_image_and_stays_in_range():
    images = torch.linspace(0, 1, 40 * 40).reshape(1, 1, 40, 40).repeat(16, 1, 1, 1)
    first, second = (augmented(images, 32, 1.0, torch.Generator().manual_seed(5)) for _ in range(2))
    assert torch.equal(first, second)
    assert first.shape == (16, 1, 32, 32)
    assert (float(first.min()), float(first.max())) >= (0.0, 0.5)
    assert float(first.max()) <= 1.0
    assert all(not torch.equal(first[0], other) for other in first[1:])
    assert float(images.max()) == 1.0


def test_persons_are_named_as_the_published_files_are():
    assert person_of("PNEUMONIA", "person12_virus_34.jpeg") == person_of("PNEUMONIA", "person12_bacteria_9.jpeg")
    assert person_of("NORMAL", "NORMAL2-IM-0012-0001.jpeg") == "NORMAL-12"
    assert person_of("NORMAL", "person12.jpeg") == "NORMAL-person12.jpeg"


def test_an_archive_cannot_choose_where_its_files_go(tmp_path):
    archive = tmp_path / "data.tar"
    with tarfile.open(archive, "w") as tar:
        for name in ("../../NORMAL/IM-1-1.jpeg", "train/NORMAL/.DS_Store", "train/PNEUMONIA/person1_virus_2.jpeg"):
            member = tarfile.TarInfo(name)
            member.size = 3
            tar.addfile(member, io.BytesIO(b"abc"))
    manifest = unpack(archive, tmp_path / "out")
    files = sorted(path.relative_to(tmp_path).as_posix() for path in tmp_path.rglob("*.jpeg"))
    assert files == ["out/NORMAL/IM-1-1.jpeg", "out/PNEUMONIA/person1_virus_2.jpeg"]
    assert [row.person for row in read_manifest(manifest)] == ["NORMAL-1", "PNEUMONIA-1"]
