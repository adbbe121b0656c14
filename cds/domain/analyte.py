"""What a laboratory quantity is: LOINC, names, house unit, reference range.

LOINC codes and long common names are LOINC's own (https://loinc.org). This material contains content
from LOINC, copyright Regenstrief Institute, Inc. and the LOINC Committee, available at no cost under
the license at https://loinc.org/license. LOINC is a registered trademark of Regenstrief Institute, Inc.

The house unit is what every value is converted to; it fits the property of the LOINC code (a mass
concentration is never given a molar unit). Reference ranges are only a default, nearly all for adults:
the range that the laboratory gave with its value always goes first.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Final

from cds.domain.code import Code
from cds.domain.units import Kind

ADULT_YEARS: Final = 18.0
"""The sources of adult ranges begin at 18 to 20 years."""
ABIM: Final = "ABIM Laboratory Test Reference Ranges, January 2026"
WST405: Final = "WS/T 405-2012, table 1"
KLAESTRUP: Final = "Klaestrup et al., Clin Chem Lab Med 2011;49:1495-1500"
JIANG: Final = "Jiang et al., Clin Lab: SCCA and CYFRA 21-1 reference intervals for Chinese adults"
MAYO: Final = "Mayo Clinic Laboratories test catalog"


@dataclass(frozen=True, slots=True, kw_only=True)
class ReferenceRange:
    """What is usual in the healthy, in the analyte's house unit, both ends included.

    `sex` is ``"M"``, ``"F"`` or ``""`` where the range holds for both; it holds from the age `from_years`.
    """

    low: float | None = None
    high: float | None = None
    sex: str = ""
    from_years: float = ADULT_YEARS
    source: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Analyte:
    """One laboratory quantity.

    Attributes
    ----------
    key
        How code refers to it, e.g. ``"crp"``.
    code
        The LOINC code (scheme ``"LN"``); its meaning is the long common name where that fits a DICOM
        Code Meaning (64 characters, PS3.5 6.2), else a shorter one.
    long_name
        LOINC's long common name.
    unit, kind
        The house unit (UCUM) and the kind of quantity it measures.
    names
        What laboratories call it, in English and Chinese, apart from `code`'s meanings.
    also
        LOINC codes of the same quantity by another method, specimen or property, read as this one.
    molar_mass
        In g/mol, where mass and amount of substance convert into each other.
    charge
        Of the ion, where equivalents convert.
    ranges
        Default reference ranges.
    spellings
        Units that mean something only of this analyte, as `cds.domain.units.spelling` has them, and their UCUM.
    signed
        Whether a value may be negative.
    """

    key: str
    code: Code
    long_name: str
    unit: str
    kind: Kind
    names: tuple[str, ...] = ()
    also: tuple[str, ...] = ()
    molar_mass: float | None = None
    charge: int | None = None
    ranges: tuple[ReferenceRange, ...] = ()
    spellings: tuple[tuple[str, str], ...] = ()
    signed: bool = False

    @property
    def specimen(self) -> str:
        """``"urine"`` or ``"blood"`` (whole, serum or plasma), as LOINC's name has it."""
        return "urine" if "Urine" in self.long_name else "blood"

    @property
    def component(self) -> str:
        """What is measured, without its property, specimen and method (LOINC part 1)."""
        return re.split(r" \[| in | of | by |/100 ", self.long_name, maxsplit=1)[0]


def one_range(low: float | None, high: float | None, source: str = ABIM) -> tuple[ReferenceRange, ...]:
    """One range for everybody of age."""
    return (ReferenceRange(low=low, high=high, source=source),)


def by_sex(female: tuple[float, float], male: tuple[float, float], source: str = ABIM) -> tuple[ReferenceRange, ...]:
    """One range for women, one for men."""
    return (
        ReferenceRange(low=female[0], high=female[1], sex="F", source=source),
        ReferenceRange(low=male[0], high=male[1], sex="M", source=source),
    )


def row(
    key: str,
    loinc: str,
    long_name: str,
    chinese: str,
    unit: str,
    kind: Kind,
    names: str,
    *,
    short: str = "",
    also: tuple[str, ...] = (),
    molar_mass: float | None = None,
    charge: int | None = None,
    ranges: tuple[ReferenceRange, ...] = (),
    spellings: tuple[tuple[str, str], ...] = (),
    signed: bool = False,
) -> Analyte:
    """One row of the table; `names` are separated by ``|``."""
    return Analyte(
        key=key,
        code=Code(loinc, "LN", short or long_name, chinese),
        long_name=long_name,
        unit=unit,
        kind=kind,
        names=tuple(names.split("|")),
        also=also,
        molar_mass=molar_mass,
        charge=charge,
        ranges=ranges,
        spellings=spellings,
        signed=signed,
    )
