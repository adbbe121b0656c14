"""Whether two records are about the same person: never on an ID alone."""

from __future__ import annotations

from cds.domain.records import Identity


def contradiction(ours: Identity, theirs: Identity) -> str:
    """In what two identities contradict each other, ``""`` where they do not; carries no patient data.

    What one of them does not say contradicts nothing.
    """
    pairs = {
        "Patient ID": (ours.patient_id.strip(), theirs.patient_id.strip()),
        "issuer of the Patient ID": (ours.issuer_of_patient_id.strip(), theirs.issuer_of_patient_id.strip()),
        "birth date": (ours.birth_date, theirs.birth_date),
        "sex": (ours.sex, theirs.sex),
    }
    return " and ".join(name for name, (one, other) in pairs.items() if one and other and one != other)


def doubt(ours: Identity, theirs: Identity) -> str:
    """Why two identities may be two persons; ``""`` where they are one.

    Patient ID and what else is known must agree, and birth date or sex must confirm it. Where only
    one side names the issuer of the Patient ID, both must.
    """
    if not ours.patient_id.strip() or not theirs.patient_id.strip():
        return "one of them has no Patient ID"
    if differing := contradiction(ours, theirs):
        return f"{differing} differs" if " and " not in differing else f"{differing} differ"
    confirmed = [one == other for one, other in ((ours.birth_date, theirs.birth_date), (ours.sex, theirs.sex)) if one]
    issuers = (ours.issuer_of_patient_id.strip(), theirs.issuer_of_patient_id.strip())
    if any(issuers) and not all(issuers) and confirmed != [True, True]:
        return "only one of them names the issuer of the Patient ID, and birth date and sex do not both confirm it"
    return "" if any(confirmed) else "nothing but the Patient ID agrees"
