"""How well and how fast reports are read.

    python benchmarks/text.py sentences             our own annotated sentences: finding and assertion F1
    python benchmarks/text.py annotated             and of those with side, size and change: F1 of each, by part
    python benchmarks/text.py openi                 Open-i's development half against its manual MeSH labels
    python benchmarks/text.py speed                 reports a second, against phrase + NegEx and two small BERTs

`openi` and `speed` need the folder of shared data in CDS_DATA (or ../shared/data). Open-i (Demner-Fushman
2016, doi:10.1093/jamia/ocv080) is CC BY-NC-ND: it is measured and looked at, and nothing of it stands here.
"""

from __future__ import annotations

import argparse
import os
import statistics
import sys
import tarfile
import time
import xml.etree.ElementTree as ElementTree
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

import text_annotated as annotated
from text_baseline import baseline, baseline_to_the_end

from cds.domain.evidence import Assertion
from cds.features.text import Mention, parse

ROOT = Path(__file__).resolve().parents[1]
SENTENCES = ROOT / "tests" / "unit" / "features" / "text_sentences.tsv"
ARCHIVE = "reports_openi_dev.tar.gz"

HEADINGS: dict[str, str] = {
    "Cardiomegaly": "cardiomegaly",
    "Cardiac Shadow/enlarged": "cardiomegaly",
    "Pleural Effusion": "pleural_effusion",
    "Pulmonary Atelectasis": "atelectasis",
    "Pneumothorax": "pneumothorax",
    "Pulmonary Edema": "pulmonary_edema",
    "Pulmonary Congestion": "vascular_congestion",
    "Calcified Granuloma": "granuloma",
    "Granuloma": "granuloma",
    "Granulomatous Disease": "granuloma",
    "Calcinosis": "calcification",
    "Opacity": "lung_opacity",
    "Airspace Disease": "lung_opacity",
    "Infiltrate": "infiltrate",
    "Consolidation": "consolidation",
    "Pneumonia": "pneumonia",
    "Nodule": "lung_nodule",
    "Mass": "lung_mass",
    "Emphysema": "emphysema",
    "Pulmonary Emphysema": "emphysema",
    "Bullous Emphysema": "emphysema",
    "Lung/hyperdistention": "hyperinflation",
    "Scoliosis": "scoliosis",
    "Hernia, Hiatal": "hiatal_hernia",
    "Cicatrix/lung": "fibrosis",
    "Pulmonary Fibrosis": "fibrosis",
    "Markings/interstitial": "interstitial_pattern",
    "Opacity/interstitial": "interstitial_pattern",
    "Lung Diseases, Interstitial": "interstitial_pattern",
    "Bronchiectasis": "bronchiectasis",
    "Thickening/pleura": "pleural_thickening",
    "Fractures, Bone/ribs": "rib_fracture",
    "Diaphragm/elevated": "elevated_diaphragm",
    "Diaphragmatic Eventration": "elevated_diaphragm",
    "Mediastinum/enlarged": "mediastinal_widening",
    "Heart Failure": "heart_failure",
    "Tuberculosis": "tuberculosis",
    "Pericardial Effusion": "pericardial_effusion",
    "Cavitation": "cavity",
}
"""MeSH heading, or heading and one qualifier, to our finding. Open-i labels what is positive, not what is doubted."""


@dataclass(frozen=True, slots=True)
class Labelled:
    """One report: its text with headings, and the findings its manual labels name."""

    name: str
    text: str
    labels: frozenset[str]


def openi() -> list[Labelled]:
    """The reports of the development half, in order of name."""
    path = data() / ARCHIVE
    with tarfile.open(path) as archive:
        files = [archive.extractfile(member) for member in archive if member.name.endswith(".xml")]
        found = [labelled(ElementTree.parse(file).getroot()) for file in files if file]
    return sorted(found, key=lambda report: report.name)


def data() -> Path:
    """The folder of shared data."""
    folder = Path(os.environ.get("CDS_DATA", ROOT.parent / "shared" / "data"))
    if not (folder / ARCHIVE).exists():
        sys.exit(f"{ARCHIVE} is not in {folder}; set CDS_DATA to the folder that has it")
    return folder


def labelled(report: ElementTree.Element) -> Labelled:
    """One XML file as text and labels."""
    parts = [(part.get("Label", ""), part.text or "") for part in report.iter("AbstractText")]
    labels: set[str] = set()
    for major in report.iterfind("MeSH/major"):
        heading, *qualifiers = (major.text or "").strip().split("/")
        for key in (heading, *(f"{heading}/{qualifier}" for qualifier in qualifiers)):
            if key in HEADINGS:
                labels.add(HEADINGS[key])
    uid = report.find("uId")
    name = uid.get("id", "") if uid is not None else ""
    return Labelled(name, "\n".join(f"{label}: {text}" for label, text in parts if text), frozenset(labels))


def positive(mentions: Iterable[Mention], *, uncertain: bool) -> frozenset[str]:
    """The findings that a report asserts; with what it holds possible where `uncertain`."""
    said = {Assertion.PRESENT, Assertion.UNCERTAIN} if uncertain else {Assertion.PRESENT}
    return frozenset(mention.key for mention in mentions if mention.asserted and mention.assertion in said)


def table(reports: list[Labelled], read: Callable[[str], frozenset[str]]) -> Iterator[tuple[str, int, int, int]]:
    """(finding, true positives, false positives, false negatives) of every finding that has a label."""
    read_as = [(report.labels, read(report.text)) for report in reports]
    for key in dict.fromkeys(HEADINGS.values()):
        hit = sum(key in truth and key in found for truth, found in read_as)
        false = sum(key not in truth and key in found for truth, found in read_as)
        missed = sum(key in truth and key not in found for truth, found in read_as)
        yield key, hit, false, missed


def scores(hit: int, false: int, missed: int) -> tuple[float, float, float]:
    """Precision, recall and F1; 0 where nothing was found."""
    precision = hit / (hit + false) if hit + false else 0.0
    recall = hit / (hit + missed) if hit + missed else 0.0
    return precision, recall, 2 * precision * recall / (precision + recall) if precision + recall else 0.0


def print_openi() -> None:
    """The table for ours and for the baseline."""
    reports = openi()
    print(f"Open-i, development half: {len(reports)} reports; positive = PRESENT or UNCERTAIN, of the patient, now")
    for name, read in (
        ("cds.features.text", lambda text: positive(parse(text).mentions, uncertain=True)),
        ("cds.features.text, PRESENT only", lambda text: positive(parse(text).mentions, uncertain=False)),
        ("phrase + NegEx baseline, five words", baseline),
        ("phrase + NegEx baseline, to the end of the sentence", baseline_to_the_end),
    ):
        rows = list(table(reports, read))
        print(f"\n{name}\n{'finding':22} {'labels':>6} {'P':>6} {'R':>6} {'F1':>6}")
        for key, *counts in rows:
            print(f"{key:22} {counts[0] + counts[2]:6} " + " ".join(f"{value:6.3f}" for value in scores(*counts)))
        micro = [sum(row[i] for row in rows) for i in (1, 2, 3)]
        often = [scores(*row[1:])[2] for row in rows if row[1] + row[3] >= 10]
        print(f"{'micro':22} {micro[0] + micro[2]:6} " + " ".join(f"{value:6.3f}" for value in scores(*micro)))
        print(f"macro F1 of the {len(often)} findings with 10 labels or more: {statistics.mean(often):.3f}")


def print_sentences() -> None:
    """F1 of (finding, assertion) on our own sentences, by language."""
    rows = [line.split("\t") for line in SENTENCES.read_text(encoding="utf-8").splitlines() if line and line[0] != "#"]
    for language in ("en", "zh"):
        counts: Counter[str] = Counter()
        for own, expected, sentence in rows:
            if own == language:
                truth = Counter(expected.split()) if expected != "-" else Counter()
                truth = Counter({item.partition(":")[0]: count for item, count in truth.items()})
                found = Counter(f"{m.key}={m.assertion.value}" for m in parse(sentence).mentions)
                counts.update(
                    hit=(truth & found).total(), false=(found - truth).total(), missed=(truth - found).total()
                )
        print(f"{language}: {sum(row[0] == language for row in rows)} sentences, P R F1 =", end=" ")
        print(*(f"{value:.4f}" for value in scores(counts["hit"], counts["false"], counts["missed"])))


def print_annotated() -> None:
    """F1 of each aspect on the looked-at and the blind part, by language; only "dev" may be looked at."""
    print(f"{'part':12} {'sentences':>9} " + " ".join(f"{aspect:>9}" for aspect in annotated.ASPECTS))
    for part in annotated.PARTS:
        for language in annotated.LANGUAGES:
            found, _ = annotated.counts(part, language)
            number = sum(1 for _ in annotated.rows(part, language))
            values = " ".join(f"{annotated.f1(*found[aspect]):9.4f}" for aspect in annotated.ASPECTS)
            print(f"{part + ' ' + language:12} {number:9} {values}")
    for part, language in annotated.general_files():
        counted, _ = annotated.general_counts(language, part)
        number = sum(1 for _ in annotated.general(language, part))
        values = ", ".join(f"{kind} {annotated.f1(*counts):.4f}" for kind, counts in sorted(counted.items()))
        print(f"{part + ' ' + language}, {number} sentences: {values}")


def print_speed() -> None:
    """Reports a second on one core, in processor time, interleaved, best of three rounds; loading apart."""
    texts = [report.text for report in openi()]
    started = time.process_time()
    parse("")
    print(f"loading the word lists: {1000 * (time.process_time() - started):.0f} ms")
    readers: dict[str, tuple[Callable[[str], object], list[str]]] = {
        "ours": (parse, texts),
        "phrase + NegEx": (baseline, texts),
        **{name: (bert(*size, texts), texts[:BERT_REPORTS]) for name, size in BERTS.items()},
    }
    times: dict[str, list[float]] = {name: [] for name in readers}
    for _ in range(3):
        for name, (read, own) in readers.items():
            started = time.process_time()
            for text in own:
                read(text)
            times[name].append((time.process_time() - started) / len(own))
    for name, taken in times.items():
        print(f"{name:24} {1 / min(taken):8.0f} reports/s, {1000 * min(taken):8.3f} ms each")
    print(f"a report has {statistics.mean(map(len, texts)):.0f} characters on average")


BERTS = {"BERT-tiny (2 x 128)": (2, 128, 2), "MiniLM (6 x 384)": (6, 384, 12)}
"""Layers, width and heads of two small encoders (doi:10.48550/arXiv.1908.08962, doi:10.48550/arXiv.2002.10957)."""
BERT_REPORTS = 200
BERT_VOCABULARY = 30_522
LONGEST_TOKENS = 512


def bert(layers: int, width: int, heads: int, texts: list[str]) -> Callable[[str], object]:
    """A forward pass with its tokenizer, one report at a time on one thread; random weights cost the same time."""
    import torch
    from tokenizers import Tokenizer, normalizers, pre_tokenizers, trainers
    from tokenizers.models import WordPiece
    from transformers import BertConfig, BertModel

    torch.set_num_threads(1)
    tokenizer = Tokenizer(WordPiece(unk_token="[UNK]"))
    tokenizer.normalizer, tokenizer.pre_tokenizer = normalizers.BertNormalizer(), pre_tokenizers.BertPreTokenizer()
    trainer = trainers.WordPieceTrainer(vocab_size=BERT_VOCABULARY, special_tokens=["[UNK]"], show_progress=False)
    tokenizer.train_from_iterator(texts, trainer)
    tokenizer.enable_truncation(LONGEST_TOKENS)
    config = BertConfig(
        vocab_size=BERT_VOCABULARY, hidden_size=width, num_hidden_layers=layers, num_attention_heads=heads,
        intermediate_size=4 * width,
    )  # fmt: skip
    model = BertModel(config).eval()

    def read(text: str) -> object:
        with torch.inference_mode():
            return model(torch.tensor([[0, *tokenizer.encode(text).ids]])).last_hidden_state.mean(1)

    return read


def main() -> None:
    """Print what was asked for."""
    what = {"sentences": print_sentences, "annotated": print_annotated, "openi": print_openi, "speed": print_speed}
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("what", choices=sorted(what))
    what[parser.parse_args().what]()


if __name__ == "__main__":
    main()
