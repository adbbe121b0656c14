"""What a finding rests on, in words: the observation behind an id."""

from __future__ import annotations

from cds.domain.evidence import Modality, Observation
from cds.domain.report import Report
from cds.report.chinese import chinese
from cds.report.labels import ASSERTIONS, MODALITIES, Bilingual
from cds.report.wording import measure, one_line, place, probability


def told(report: Report, observation_id: str, *, brief: bool = False) -> Bilingual:
    """``"chest X-ray: Pneumonia 81 % (70–90 %)"`` and its Chinese; the id where no evidence has it.

    In `brief`, notes are left out that stand elsewhere on a page: all but those of texts, which say whose
    word it is and of when.
    """
    for part in report.evidence:
        for each in part.observations:
            if each.id == observation_id:
                noted = not brief or part.modality is Modality.TEXT
                english, words = MODALITIES[part.modality]
                return f"{english}: {_words(each, 0, noted)}", f"{words}：{_words(each, 1, noted)}"
    return observation_id, observation_id


def _words(observation: Observation, language: int, noted: bool) -> str:
    name = observation.concept.text(("en", "zh")[language])
    words = [name]
    if observation.site is not None:
        words.append(f"({place(observation.site)[language]})")
    words += [", ".join(measure(each) for each in observation.measurements[:3])] if observation.measurements else []
    if observation.probability is not None:
        words.append(probability(observation.probability, observation.interval))
    elif not observation.measurements:
        words.append(ASSERTIONS[observation.assertion][language])
    if observation.note and noted:
        note = chinese(observation.note) if language else observation.note
        words.append(f"[{one_line(note, 160)}]")
    return " ".join(words)
