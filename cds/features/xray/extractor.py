"""The `chest_xray` extractor: a frontal chest radiograph -> the probability of pneumonia."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import ClassVar, Final

from cds.dicom.radiograph import Radiograph, load_radiograph
from cds.domain.evidence import Algorithm, Assertion, Evidence, Gate, Missing, Modality, Observation, Site
from cds.domain.report import Case
from cds.domain.study import Instance, Series
from cds.domain.vocabulary import ANATOMY, FINDINGS
from cds.errors import EvidenceError
from cds.features.xray import gates
from cds.features.xray.model import SHIPPED, Reading, XrayModel
from cds.ports import CasePart

CARD: Final = "model-card-xray.md"
_EXTREME: Final = 1.5
"""From one to this many times the limit of familiarity the finding is UNCERTAIN, beyond it the model says nothing.

Held-out images reach 1.1, shifted or not; checkerboards, clouds, inverted and lying chests 1.6 to 2.1."""
_LIMITS: Final = (
    "The chest X-ray model was trained on frontal images of children of 1 to 5 years, of one hospital.",
    "It tells pneumonia from a normal chest only; it does not look for any other disease.",
)
_loading = threading.Lock()


@dataclass(frozen=True, slots=True)
class _Candidate:
    """An image that may be read, with the gates that it passed."""

    series: Series
    instance: Instance
    radiograph: Radiograph
    gates: tuple[Gate, ...]


class ChestXray:
    """Reads one frontal chest radiograph of a study."""

    @dataclass(frozen=True, slots=True, kw_only=True)
    class Settings:
        """`device` is ``"auto"``, ``"cpu"`` or ``"cuda"``; `weights` a file instead of the one that ships."""

        device: str = "auto"
        weights: str = ""

    modality: ClassVar[Modality] = Modality.XRAY
    depends_on: ClassVar[frozenset[CasePart]] = frozenset({"study"})

    def __init__(self, settings: ChestXray.Settings) -> None:
        self._settings = settings

    def extract(self, case: Case) -> Evidence | Missing:
        """Read the best frontal image; Missing with the reason when there is none that may be read.

        Raises
        ------
        EvidenceError
            When images are there and none can be decoded.
        """
        refused: list[Gate] = []
        broken: list[str] = []
        candidates = sorted(_candidates(case, refused, broken), key=_preference)
        if candidates:
            return self._read(case, candidates[0], len(candidates) - 1)
        if broken:
            raise EvidenceError("; ".join(broken))
        if refused:
            reasons = "; ".join(dict.fromkeys(f"{gate.name}: {gate.reason}" for gate in refused))
            return _missing(f"no radiograph may be read ({reasons})", refused)
        return _missing("the study has no chest radiograph (CR or DX)", ())

    def check(self) -> None:
        """Load the weights.

        Raises
        ------
        ConfigError
            When they are not there, or are not the ones that their sidecar names.
        """
        self._model()

    def _model(self) -> XrayModel:
        return _model(Path(self._settings.weights) if self._settings.weights else SHIPPED, self._settings.device)

    def _read(self, case: Case, chosen: _Candidate, others: int) -> Evidence | Missing:
        model = self._model()
        reading = model.read(chosen.radiograph.pixels)
        familiar = Gate(
            name="familiar image",
            passed=reading.unfamiliarity <= 1.0,
            reason=f"distance from the training images {reading.unfamiliarity:.2f}, limit 1",
        )
        passed = (*chosen.gates, gates.age(case.study.patient), familiar)
        if reading.unfamiliarity > _EXTREME:
            return _missing(f"the image is unlike any chest radiograph of the training ({familiar.reason})", passed)
        return Evidence(
            modality=Modality.XRAY,
            algorithm=_algorithm(model),
            observations=(_observation(model, reading, chosen.instance, passed, others),),
            embedding=reading.embedding,
            key_image=chosen.instance.sop_instance_uid,
            heat_map=reading.heat_map,
            gates=passed,
            limits=_limits(passed),
        )


def _candidates(case: Case, refused: list[Gate], broken: list[str]) -> Iterator[_Candidate]:
    """Images that pass the gates; what does not pass goes to `refused`, what cannot be read to `broken`."""
    for series in case.study.series:
        if series.modality.upper() not in gates.MODALITIES:
            continue
        part = gates.body_part(series, case.study)
        if not part.passed:
            refused.append(part)
            continue
        for instance in series.instances:
            try:
                candidate = _candidate(series, instance, part, refused)
            except EvidenceError as error:
                broken.append(str(error))
                continue
            if candidate is not None:
                yield candidate


def _candidate(series: Series, instance: Instance, part: Gate, refused: list[Gate]) -> _Candidate | None:
    if instance.sop_class_uid not in gates.STORAGE:
        raw = instance.sop_class_uid == gates.FOR_PROCESSING
        reason = "an image For Processing" if raw else "not a CR or DX image"
        refused.append(Gate(name="modality", passed=False, reason=f"{reason}, by its SOP Class"))
        return None
    kind = Gate(name="modality", passed=True, reason=f"{series.modality.upper()} image")
    radiograph = load_radiograph(instance)
    checks = (gates.presentation(radiograph), gates.view(radiograph, series), gates.quality(radiograph))
    failed = [gate for gate in checks if not gate.passed]
    refused += failed
    passed = (kind, part, *checks, *gates.window(radiograph))
    return None if failed else _Candidate(series, instance, radiograph, passed)


def _preference(candidate: _Candidate) -> tuple[bool, int, str]:
    """A stated view before a guessed one, then the most pixels, then the UID, whatever the order of arrival."""
    return (not candidate.radiograph.view, -candidate.radiograph.pixels.size, candidate.instance.sop_instance_uid)


def _observation(
    model: XrayModel, reading: Reading, instance: Instance, passed: tuple[Gate, ...], others: int
) -> Observation:
    """PRESENT and ABSENT need a clear probability and every gate passed."""
    failed = [gate for gate in passed if not gate.passed]
    band = model.sidecar.calibration
    assertion = Assertion.UNCERTAIN
    if not failed and reading.probability >= band.present_from:
        assertion = Assertion.PRESENT
    elif not failed and reading.probability < band.absent_below:
        assertion = Assertion.ABSENT
    notes = [f"outside the intended use: {gate.name}, {gate.reason}" for gate in failed]
    notes += [f"{others} other frontal image(s) of the study were not read"] if others else []
    return Observation(
        id="chest_xray/pneumonia",
        concept=FINDINGS["pneumonia"],
        assertion=assertion,
        probability=reading.probability,
        interval=reading.interval,
        site=Site(region=ANATOMY["lung"]),
        source=instance.sop_instance_uid,
        note="; ".join(notes),
    )


def _limits(passed: tuple[Gate, ...]) -> tuple[str, ...]:
    failed = [gate for gate in passed if not gate.passed]
    return _LIMITS + tuple(f"Chest X-ray, {gate.name}: {gate.reason}." for gate in failed)


def _missing(reason: str, passed: tuple[Gate, ...] | list[Gate]) -> Missing:
    return Missing(modality=Modality.XRAY, reason=reason, gates=tuple(dict.fromkeys(passed)))


def _algorithm(model: XrayModel) -> Algorithm:
    sidecar = model.sidecar
    return Algorithm(name="cds chest X-ray (ConvNeXt V2)", version=sidecar.version, sha256=sidecar.sha256, card=CARD)


def _model(weights: Path, device: str) -> XrayModel:
    """One model a process, loaded at the first image."""
    with _loading:
        return _loaded(weights, device)


@cache
def _loaded(weights: Path, device: str) -> XrayModel:
    return XrayModel.load(weights, device)
