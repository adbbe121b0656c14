"""A transformer encoder from a local folder: a tiny BERT with random weights stands for a site's own."""

from __future__ import annotations

import hashlib
import json
from dataclasses import replace
from pathlib import Path

import pytest
import torch

from cds.domain.evidence import Assertion, Evidence, Missing
from cds.domain.records import Records, TextKind, TextReport
from cds.domain.report import Case
from cds.domain.study import Patient, Study
from cds.domain.vocabulary import FINDINGS
from cds.errors import ConfigError, EvidenceError
from cds.features.text import encoder as encoder_module
from cds.features.text.encoder import Encoder, Labelled
from cds.features.text.encoder_extractor import TextEncoder
from support.encoders import encoder

ENGLISH = "No pleural effusion. Consolidation in the right lower lobe."
CHINESE = "右下叶实变。未见胸腔积液。"
CPU = torch.device("cpu")
CASE = Case(study=Study(study_instance_uid="1.2.3", patient=Patient(), series=()))


def case_of(*texts: str, kind: TextKind = TextKind.CURRENT) -> Case:
    reports = tuple(TextReport(report_id=f"r{n}", text=text, kind=kind) for n, text in enumerate(texts))
    return replace(CASE, records=Records(texts=reports))


def plugin(folder: Path, sha256: str, **settings: float | str) -> TextEncoder:
    return TextEncoder(TextEncoder.Settings(folder=str(folder), sha256=sha256, **settings))  # type: ignore[arg-type]


def evidence(made: Evidence | Missing) -> Evidence:
    assert isinstance(made, Evidence)
    return made


def test_a_text_becomes_the_mean_of_its_tokens_hidden_states(tmp_path: Path) -> None:
    """Compared with a plain run of transformers' own classes."""
    from transformers import AutoModel, AutoTokenizer

    made = Encoder(tmp_path, encoder(tmp_path), CPU, 64)(ENGLISH)
    tokens = AutoTokenizer.from_pretrained(tmp_path)(ENGLISH, return_tensors="pt")
    with torch.no_grad():
        states = AutoModel.from_pretrained(tmp_path).eval()(tokens["input_ids"]).last_hidden_state
    assert made.embedding == pytest.approx(states[0, 1:-1].mean(0).tolist(), abs=1e-5)
    assert made.whole


def test_english_and_chinese_are_encoded_and_are_not_the_same(tmp_path: Path) -> None:
    read = Encoder(tmp_path, encoder(tmp_path), CPU, 64)
    assert len(read(ENGLISH).embedding) == len(read(CHINESE).embedding) == 16
    assert read(ENGLISH).embedding != read(CHINESE).embedding


def test_a_long_text_is_read_in_windows_to_a_limit(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    read = Encoder(tmp_path, encoder(tmp_path, length=16), CPU, 512)
    assert read.window == 16
    long = "no effusion . " * 30
    assert read(long).embedding != read(long + "pneumonia " * 60).embedding
    assert read(long).whole
    monkeypatch.setattr(encoder_module, "MOST_WINDOWS", 2)
    assert not read(long).whole


def test_a_sequence_head_says_its_labels_with_probabilities(tmp_path: Path) -> None:
    labels = {0: "pneumonia", 1: "pleural_effusion", 2: "weather"}
    digest = encoder(tmp_path, head="text", labels=labels, many=True)
    found = evidence(plugin(tmp_path, digest, present_from=1.0, absent_below=0.0).extract(case_of(ENGLISH)))
    assert [each.concept for each in found.observations] == [FINDINGS["pneumonia"], FINDINGS["pleural_effusion"]]
    assert all(each.assertion is Assertion.UNCERTAIN and each.probability for each in found.observations)
    assert len(found.embedding) == 16
    assert found.algorithm.sha256 == digest


def test_the_probabilities_of_a_head_with_one_answer_sum_to_one(tmp_path: Path) -> None:
    digest = encoder(tmp_path, head="text", labels={0: "pneumonia", 1: "other"})
    assert sum(Encoder(tmp_path, digest, CPU, 64)(ENGLISH).labels.values()) == pytest.approx(1)


@pytest.mark.parametrize(("kind", "said"), [(TextKind.PRIOR, "NOT_ASSESSED"), (TextKind.ORDER, "UNCERTAIN")])
def test_nothing_of_an_earlier_report_or_an_order_is_present(tmp_path: Path, kind: TextKind, said: str) -> None:
    digest = encoder(tmp_path, head="text", labels={0: "pneumonia", 1: "other"})
    made = plugin(tmp_path, digest, present_from=0.0, absent_below=0.0)
    assert evidence(made.extract(case_of(ENGLISH))).observations[0].assertion is Assertion.PRESENT
    assert evidence(made.extract(case_of(ENGLISH, kind=kind))).observations[0].assertion == said


def test_a_token_head_marks_words_with_their_characters(tmp_path: Path) -> None:
    digest = encoder(tmp_path, head="token", labels={0: "B-pneumonia=ABSENT", 1: "I-pneumonia=ABSENT"})
    found = evidence(plugin(tmp_path, digest).extract(case_of("No pneumonia.")))
    assert found.observations
    assert all(each.assertion is Assertion.ABSENT for each in found.observations)
    words = ["No pneumonia."[each.span.start : each.span.end] for each in found.observations if each.span]
    assert set(" ".join(words).split()) <= {"No", "pneumonia", "."} | {"No pneumonia", "pneumonia."}


def test_neighbouring_tokens_of_one_label_are_one_span() -> None:
    """Scores made by hand: B-x I-x O I-x, then a window that repeats the last two tokens."""
    names = ("O", "B-x", "I-x")
    scores = 9.0 * torch.eye(3)[torch.tensor([[1, 2, 0, 2], [0, 2, 2, 0]])]
    offsets = torch.tensor([[[0, 2], [3, 5], [6, 8], [9, 11]], [[6, 8], [9, 11], [12, 14], [0, 0]]])
    own = torch.tensor([[True] * 4, [True] * 3 + [False]])
    found = encoder_module._spans(names, scores, offsets, own)
    assert [(each.label, each.start, each.end) for each in found] == [("x", 0, 5), ("x", 9, 11), ("x", 12, 14)]
    assert isinstance(found[0], Labelled)


def test_weights_that_are_not_those_that_are_pinned_are_refused(tmp_path: Path) -> None:
    encoder(tmp_path)
    with pytest.raises(ConfigError, match="sha256"):
        plugin(tmp_path, "0" * 64).check()


def test_a_folder_that_wants_to_run_its_own_code_is_refused(tmp_path: Path) -> None:
    digest = encoder(tmp_path)
    config = json.loads((tmp_path / "config.json").read_text())
    (tmp_path / "config.json").write_text(json.dumps({**config, "auto_map": {"AutoModel": "evil.Model"}}))
    with pytest.raises(ConfigError, match="code of its own"):
        plugin(tmp_path, digest).check()


def test_a_pickle_is_never_read(tmp_path: Path) -> None:
    encoder(tmp_path)
    (tmp_path / "model.safetensors").rename(tmp_path / "pytorch_model.bin")
    with pytest.raises(ConfigError, match=r"model\.safetensors"):
        plugin(tmp_path, "").check()


def test_without_a_folder_check_says_which_setting_is_missing() -> None:
    with pytest.raises(ConfigError, match=r"models\.text_encoder"):
        TextEncoder(TextEncoder.Settings()).check()


def test_weights_with_nan_are_an_error_and_not_a_number(tmp_path: Path) -> None:
    from safetensors.torch import load_file, save_file

    encoder(tmp_path)
    tensors = load_file(tmp_path / "model.safetensors")
    tensors["embeddings.word_embeddings.weight"][:] = float("nan")
    save_file(tensors, tmp_path / "model.safetensors", metadata={"format": "pt"})
    digest = hashlib.sha256((tmp_path / "model.safetensors").read_bytes()).hexdigest()
    with pytest.raises(EvidenceError, match="NaN"):
        plugin(tmp_path, digest).extract(case_of(ENGLISH))
