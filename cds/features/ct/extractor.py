"""The `chest_ct` extractor: a chest CT -> its nodules, each measured and with its place."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar, Final

from cds.dicom.volume import Volume, load_volume
from cds.domain.code import Code
from cds.domain.evidence import (
    Algorithm,
    Assertion,
    Evidence,
    Gate,
    ImageRegion,
    Measurement,
    Missing,
    Modality,
    Observation,
    Site,
)
from cds.domain.report import Case
from cds.domain.study import Series
from cds.domain.vocabulary import ANATOMY, FINDINGS
from cds.errors import EvidenceError
from cds.features.ct import gates
from cds.features.ct.lungs import Lungs, find_lungs
from cds.features.ct.nodules import CtNodule, find_nodules
from cds.features.ct.place import Place
from cds.ports import CasePart

ALGORITHM: Final = Algorithm(name="CDS chest CT nodules", version="1.0.0", card="model-card-ct.md")
MASS_MM: Final = 30.0
"""Above this a nodule is called a mass (Fleischner glossary, doi:10.1148/radiol.2462070712)."""

LONG_AXIS: Final = Code("103339001", "SCT", "Long axis", "长径")
SHORT_AXIS: Final = Code("103340004", "SCT", "Short axis", "短径")
DIAMETER: Final = Code("81827009", "SCT", "Diameter", "平均直径")
VOLUME: Final = Code("118565006", "SCT", "Volume", "体积")

_LIMITS: Final = (
    "Nodules on chest CT are found by a classical algorithm that looks for solid and part-solid round spots of 4 to"
    " 35 mm; pure ground glass, endobronchial, mediastinal and flat pleural lesions are not looked for.",
    "The CT algorithm measures nodules; it gives them no probability of malignancy of its own.",
)


class ChestCt:
    """Reads the chest CT series of a study that shows small nodules best."""

    @dataclass(frozen=True, slots=True, kw_only=True)
    class Settings:
        """What is reported: nodules from `min_diameter_mm`, the `max_nodules` largest."""

        min_diameter_mm: float = 4.0
        max_nodules: int = 20

    modality: ClassVar[Modality] = Modality.CT
    depends_on: ClassVar[frozenset[CasePart]] = frozenset({"study"})

    def __init__(self, settings: ChestCt.Settings) -> None:
        self._settings = settings

    def extract(self, case: Case) -> Evidence | Missing:
        """Measure every nodule of the best chest CT series; Missing with the reason where there is none.

        Series are tried one after the other, the one of most slices first.

        Raises
        ------
        EvidenceError
            When there are CT series, and none can be read as a volume.
        """
        refused: list[Gate] = []
        broken: list[str] = []
        candidates = sorted((series for series in case.study.series if series.modality == "CT"), key=_preference)
        for series in candidates:
            try:
                volume = load_volume(series)
            except EvidenceError as error:
                broken.append(f"series {series.series_instance_uid}: {error}")
                continue
            lungs = find_lungs(volume)
            checked = gates.check(series, volume, lungs)
            if lungs is not None and all(gate.passed for gate in checked):
                return self._read(volume, lungs, checked)
            refused += [gate for gate in checked if not gate.passed]
        if refused:
            why = "; ".join(dict.fromkeys(f"{gate.name}: {gate.reason}" for gate in refused))
            return Missing(modality=self.modality, reason=f"no CT series may be read ({why})", gates=tuple(refused))
        if broken:
            raise EvidenceError(f"no CT series of the study can be read: {'; '.join(broken)}")
        return Missing(modality=self.modality, reason="the study has no CT series")

    def _read(self, volume: Volume, lungs: Lungs, checked: tuple[Gate, ...]) -> Evidence:
        nodules = find_nodules(
            volume, lungs, min_diameter_mm=self._settings.min_diameter_mm, limit=self._settings.max_nodules
        )
        place = Place.of(volume, lungs)
        found = tuple(_observation(number, nodule, place) for number, nodule in enumerate(nodules, 1))
        return Evidence(
            modality=self.modality,
            algorithm=ALGORITHM,
            observations=found or (self._none_found(volume),),
            key_image=nodules[0].sop_instance_uid if nodules else _middle(volume),
            gates=checked,
            limits=_LIMITS + gates.limits(volume, lungs) + self._limit_of_count(len(nodules)),
        )

    def _none_found(self, volume: Volume) -> Observation:
        return Observation(
            id="chest_ct/nodule",
            concept=FINDINGS["lung_nodule"],
            assertion=Assertion.ABSENT,
            site=Site(region=ANATOMY["lung"]),
            source=volume.series_instance_uid,
            note=f"no solid or part-solid nodule of {self._settings.min_diameter_mm:g} mm or more was found;"
            " no calibrated probability exists for it",
        )

    def _limit_of_count(self, count: int) -> tuple[str, ...]:
        if count < self._settings.max_nodules:
            return ()
        return (f"Only the {count} largest nodules are reported; there may be more.",)


def _preference(series: Series) -> tuple[int, str]:
    """Most slices first: of one chest that is the thinnest series; then the UID, so that a rerun takes the same."""
    return (-len(series.instances), series.series_instance_uid)


def _middle(volume: Volume) -> str:
    return volume.sop_instance_uids[len(volume.sop_instance_uids) // 2]


def _observation(number: int, nodule: CtNodule, place: Place | None) -> Observation:
    side = ANATOMY["right" if nodule.right else "left"]
    kind = "solid" if nodule.solid else "part-solid"
    where = ", attached to the pleura" if nodule.pleural else ""
    return Observation(
        id=f"chest_ct/nodule/{number}",
        concept=FINDINGS["lung_mass" if nodule.mean_diameter_mm > MASS_MM else "lung_nodule"],
        measurements=(
            Measurement(quantity=LONG_AXIS, value=round(nodule.long_axis_mm, 1), unit="mm"),
            Measurement(quantity=SHORT_AXIS, value=round(nodule.short_axis_mm, 1), unit="mm"),
            Measurement(quantity=DIAMETER, value=round(nodule.mean_diameter_mm, 1), unit="mm"),
            Measurement(quantity=VOLUME, value=round(nodule.volume_mm3, 1), unit="mm3"),
        ),
        site=Site(region=ANATOMY["lung"], laterality=side),
        region=_region(nodule),
        source=nodule.sop_instance_uid,
        position=place.position(nodule.centre_mm) if place else (),
        note=f"{kind} by its density ({nodule.mean_hu:.0f} HU){where}; no calibrated probability exists for it",
    )


def _region(nodule: CtNodule) -> ImageRegion:
    """The ellipse of long and short axis; (0.5, 0.5) is the middle of the first pixel (PS3.3 C.18.6.1.1)."""
    points = tuple((round(column + 0.5, 2), round(row + 0.5, 2)) for row, column in nodule.axis_ends)
    return ImageRegion(sop_instance_uid=nodule.sop_instance_uid, shape="ELLIPSE", points=points)
