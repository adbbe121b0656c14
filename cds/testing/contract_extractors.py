"""What every plugin of the door `cds.extractors` must keep; each check takes the plugin and a case.

`full_case` has something for every modality: a radiograph of a child, a chest CT and an electrocardiogram of
phantoms, a laboratory value and a report. A plugin for another modality may be given a case of its own.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Final

from cds.dicom.read import read_studies
from cds.domain.evidence import Evidence, Missing, Observation
from cds.domain.labs import ANALYTES
from cds.domain.records import LabResult, Records, TextReport
from cds.domain.report import Case
from cds.domain.study import Patient, Study
from cds.errors import EvidenceError
from cds.ports import Depending, Extractor
from cds.testing.phantoms.ct import ct_thorax_phantom
from cds.testing.phantoms.ecg import ecg_phantom
from cds.testing.phantoms.patient import CHILD, PhantomStudy
from cds.testing.phantoms.xray import chest_xray_phantom

EMPTY: Final = Case(study=Study(study_instance_uid="1.2.3", patient=Patient(), series=()))


def full_case(folder: Path) -> Case:
    """Write phantoms into `folder` and put a laboratory value and a report beside them."""
    study = PhantomStudy(seed=5, patient=CHILD)
    chest_xray_phantom(folder / "xray", study=study, seed=5, pixels=512)
    ct_thorax_phantom(folder / "ct", study=study, seed=5, matrix=192)
    ecg_phantom(folder / "ecg", study=study)
    ((read,), ()) = read_studies([folder])
    crp = ANALYTES["crp"]
    taken = study.started_at - timedelta(hours=2)
    lab = LabResult(analyte=crp.code, value=40.0, unit=crp.unit, observed_at=taken, source="test")
    text = TextReport(report_id="r1", text="Consolidation in the right lower lobe. No pleural effusion.")
    return Case(study=read, records=Records(labs=(lab,), texts=(text,)))


def nothing_to_read_is_missing_with_a_reason(extractor: Extractor, case: Case) -> None:
    """A case without anything for the plugin is no error."""
    found = extractor.extract(EMPTY)
    assert isinstance(found, Missing), found
    assert found.modality is extractor.modality
    assert found.reason


def what_is_there_becomes_evidence(extractor: Extractor, case: Case) -> None:
    """The evidence is of the plugin's modality and says which algorithm made it."""
    found = _evidence(extractor, case)
    assert found.modality is extractor.modality
    assert found.algorithm.name
    assert found.algorithm.version


def observations_are_named_and_have_a_source(extractor: Extractor, case: Case) -> None:
    """Ids are unique and begin with the modality; each observation says where it comes from."""
    observations = _evidence(extractor, case).observations
    ids = [item.id for item in observations]
    assert len(set(ids)) == len(ids)
    for item in observations:
        assert item.id.startswith(f"{extractor.modality}/"), item.id
        assert item.source, item.id


def every_number_is_one(extractor: Extractor, case: Case) -> None:
    """No NaN, no infinity, probabilities in 0..1, heat maps too."""
    found = _evidence(extractor, case)
    assert all(math.isfinite(value) for value in found.embedding)
    assert all(0.0 <= value <= 1.0 for row in found.heat_map for value in row)
    for item in found.observations:
        assert all(math.isfinite(measurement.value) and measurement.unit for measurement in item.measurements)
        assert all(0.0 <= value <= 1.0 for value in _probabilities(item))


def the_same_case_gives_the_same_evidence(extractor: Extractor, case: Case) -> None:
    """A rerun is the same report."""
    assert _evidence(extractor, case) == _evidence(extractor, case)


def what_it_does_not_depend_on_changes_nothing(extractor: Extractor, case: Case) -> None:
    """An extractor that names the study alone says the same whatever the records are."""
    if not isinstance(extractor, Depending):
        return
    assert {"study"} <= extractor.depends_on <= {"study", "records"}, extractor.depends_on
    if "records" not in extractor.depends_on:
        assert extractor.extract(Case(study=case.study)) == extractor.extract(case)


def a_file_that_is_gone_costs_the_modality_and_no_more(extractor: Extractor, case: Case) -> None:
    """Unreadable images are an `EvidenceError` or Missing, never another exception."""
    gone = tuple(
        replace(series, instances=tuple(replace(one, path=Path("gone")) for one in series.instances))
        for series in case.study.series
    )
    try:
        extractor.extract(replace(case, study=replace(case.study, series=gone)))
    except EvidenceError as error:
        assert str(error)


def _probabilities(item: Observation) -> Iterable[float]:
    return (*(() if item.probability is None else (item.probability,)), *(item.interval or ()))


def _evidence(extractor: Extractor, case: Case) -> Evidence:
    found = extractor.extract(case)
    assert isinstance(found, Evidence), found
    return found


CHECKS: Final[tuple[Callable[[Extractor, Case], None], ...]] = (
    nothing_to_read_is_missing_with_a_reason,
    what_is_there_becomes_evidence,
    observations_are_named_and_have_a_source,
    every_number_is_one,
    the_same_case_gives_the_same_evidence,
    what_it_does_not_depend_on_changes_nothing,
    a_file_that_is_gone_costs_the_modality_and_no_more,
)
