"""The two patients of the demo, who do not exist: their images, laboratory values and reports."""

from __future__ import annotations

import csv
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Final

import numpy as np

from cds.testing.phantoms.ct import ct_thorax_phantom
from cds.testing.phantoms.nodules import place
from cds.testing.phantoms.patient import ADULT, CHILD, PhantomPatient, PhantomStudy
from cds.testing.phantoms.thorax import Thorax
from cds.testing.phantoms.xray import PNEUMONIA, chest_xray_phantom

CHILD_STUDY: Final = PhantomStudy(
    seed=1, patient=CHILD, accession_number="DEMO-1", description="Chest PA", reason_for_exam="Cough and fever"
)
ADULT_STUDY: Final = PhantomStudy(
    seed=2, patient=ADULT, accession_number="DEMO-2", description="CT chest", reason_for_exam="Lung nodule follow-up"
)
NODULES: Final = ((12.0, "solitary"), (7.0, "juxta_pleural"))
"""Diameters in mm, and where they lie."""

LABS: Final[Sequence[tuple[PhantomStudy, str, str, str, float]]] = (
    (CHILD_STUDY, "1988-5", "86", "mg/L", 3.0),
    (CHILD_STUDY, "6690-2", "17.4", "10*9/L", 3.0),
    (CHILD_STUDY, "33959-8", "2.1", "ng/mL", 3.0),
    (ADULT_STUDY, "1988-5", "3.1", "mg/L", 20.0),
    (ADULT_STUDY, "2039-6", "9.8", "ng/mL", 20.0),
    (ADULT_STUDY, "6690-2", "6.8", "10*9/L", 20.0),
)
"""Study, LOINC, value, UCUM unit, hours before the study: CRP, leukocytes, procalcitonin, CEA."""

REPORTS: Final = (
    (
        CHILD_STUDY,
        "demo-zh",
        "current",
        0,
        "右下肺野见片状实变影，考虑肺炎。未见胸腔积液，未见气胸。心影大小形态正常。",
    ),
    (
        ADULT_STUDY,
        "demo-en",
        "prior",
        90,
        "Solid nodule in the lung, 10 mm. No pleural effusion. No pneumothorax. Heart size is normal.",
    ),
)

"""Study, identifier, kind, days before the study, text."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Phantom:
    """One study of the demo."""

    title: str
    study_instance_uid: str
    files: tuple[Path, ...]


def write_images(folder: Path) -> tuple[Phantom, ...]:
    """Write the radiograph and the CT series into `folder`."""
    xray = chest_xray_phantom(folder / "xray", study=CHILD_STUDY, seed=1, opacities=PNEUMONIA)
    random = np.random.default_rng(2)
    thorax = Thorax(scale=ADULT_STUDY.scale, seed=2)
    nodules = [place(thorax, diameter, kind, random) for diameter, kind in NODULES]
    ct = ct_thorax_phantom(folder / "ct", study=ADULT_STUDY, seed=2, nodules=nodules)
    sizes = " and ".join(f"{diameter:g} mm" for diameter, _ in NODULES)
    return (
        Phantom(title="chest X-ray of a child", study_instance_uid=xray.study_instance_uid, files=(xray.file,)),
        Phantom(title=f"chest CT with nodules of {sizes}", study_instance_uid=ct.study_instance_uid, files=ct.files),
    )


def write_records(folder: Path) -> None:
    """Write ``labs.csv`` and ``reports.csv`` into `folder`."""
    folder.mkdir(parents=True, exist_ok=True)
    _write_labs(folder / "labs.csv")
    _write_reports(folder / "reports.csv")


def _person(patient: PhantomPatient) -> list[str]:
    return [patient.patient_id, patient.issuer_of_patient_id, patient.birth_date.isoformat(), patient.sex]


def _write_labs(file: Path) -> None:
    header = ["patient_id", "issuer", "birth_date", "sex", "code", "value", "unit", "observed_at"]
    rows = [
        [*_person(study.patient), code, value, unit, (study.started_at - timedelta(hours=hours)).isoformat()]
        for study, code, value, unit, hours in LABS
    ]
    _write_csv(file, [header, *rows])


def _write_reports(file: Path) -> None:
    header = ["patient_id", "issuer", "birth_date", "sex", "report_id", "authored_at", "kind", "text"]
    rows = [
        [*_person(study.patient), report_id, (study.started_at - timedelta(days=days)).isoformat(), kind, text]
        for study, report_id, kind, days, text in REPORTS
    ]
    _write_csv(file, [header, *rows])


def _write_csv(file: Path, rows: Sequence[Sequence[str]]) -> None:
    with file.open("w", encoding="utf-8", newline="") as out:
        csv.writer(out).writerows(rows)
