"""Whether two records are about the same person: never on an ID alone."""

from __future__ import annotations

from collections.abc import Mapping
from enum import Enum, auto

from cds.domain.records import Identity
from cds.domain.study import Patient


class _Ground(Enum):
    """On what grounds two identities may be two persons, gravest first."""

    NO_ID = auto()
    DIFFERS = auto()
    ONE_ISSUER = auto()
    NOTHING_ELSE = auto()


def identity_of(patient: Patient) -> Identity:
    """What identifies the patient of a study."""
    return Identity(
        patient_id=patient.patient_id.strip(),
        issuer_of_patient_id=patient.issuer_of_patient_id.strip(),
        birth_date=patient.birth_date,
        sex=patient.sex,
    )


def contradiction(ours: Identity, theirs: Identity) -> str:
    """In what two identities contradict each other, ``""`` where they do not; carries no patient data.

    What one of them does not say contradicts nothing.
    """
    return " and ".join(name for name, (one, other) in _pairs(ours, theirs).items() if one and other and one != other)


def _pairs(ours: Identity, theirs: Identity) -> Mapping[str, tuple[object, object]]:
    return {
        "Patient ID": (ours.patient_id.strip(), theirs.patient_id.strip()),
        "issuer of the Patient ID": (ours.issuer_of_patient_id.strip(), theirs.issuer_of_patient_id.strip()),
        "birth date": (ours.birth_date, theirs.birth_date),
        "sex": (ours.sex, theirs.sex),
    }


def _ground(ours: Identity, theirs: Identity) -> _Ground | None:
    """THE rule: Patient ID and what else is known must agree, and birth date or sex must confirm it.

    Where only one side names the issuer of the Patient ID, both must.
    """
    if not ours.patient_id.strip() or not theirs.patient_id.strip():
        return _Ground.NO_ID
    if contradiction(ours, theirs):
        return _Ground.DIFFERS
    confirmed = [bool(one and one == other) for one, other in list(_pairs(ours, theirs).values())[2:]]
    issuers = (ours.issuer_of_patient_id.strip(), theirs.issuer_of_patient_id.strip())
    if any(issuers) and not all(issuers) and not all(confirmed):
        return _Ground.ONE_ISSUER
    return None if any(confirmed) else _Ground.NOTHING_ELSE


def doubt(ours: Identity, theirs: Identity) -> str:
    """Why two identities may be two persons; ``""`` where they are one. Carries no patient data."""
    match _ground(ours, theirs):
        case None:
            return ""
        case _Ground.NO_ID:
            return "one of them has no Patient ID"
        case _Ground.DIFFERS:
            differing = contradiction(ours, theirs)
            return f"{differing} differs" if " and " not in differing else f"{differing} differ"
        case _Ground.ONE_ISSUER:
            return "only one of them names the issuer of the Patient ID, and birth date and sex do not both confirm it"
        case _Ground.NOTHING_ELSE:
            return "nothing but the Patient ID agrees"


def row_doubt(ours: Identity, row: Identity) -> str:
    """`doubt` in words for a table's row, which was found by its Patient ID."""
    match _ground(ours, row):
        case None:
            return ""
        case _Ground.NO_ID:
            return "another Patient ID"
        case _Ground.DIFFERS:
            return _row_differs(contradiction(ours, row))
        case _Ground.ONE_ISSUER:
            return "only one side names the issuer of the Patient ID; birth date and sex must then both confirm it"
        case _Ground.NOTHING_ELSE:
            return "nothing but the Patient ID agrees; a birth date or sex must confirm it"


def _row_differs(differing: str) -> str:
    first = differing.split(" and ")[0]
    if first == "Patient ID":
        return "another Patient ID"
    if first == "issuer of the Patient ID":
        return "the same Patient ID by another issuer"
    return f"the Patient ID agrees, the {first} does not"
