"""The laboratory quantities that this software understands, by key; see `cds.domain.analyte` for their sources."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Final

from cds.domain.analyte import ADULT_YEARS, Analyte, ReferenceRange
from cds.domain.analytes_blood import BLOOD_COUNT, INFLAMMATION
from cds.domain.analytes_chemistry import CHEMISTRY
from cds.domain.analytes_clotting import CARDIAC_AND_CLOTTING
from cds.domain.analytes_other import BLOOD_GAS, TUMOR_MARKERS, URINE

__all__ = ["ADULT_YEARS", "ANALYTES", "Analyte", "ReferenceRange"]

ANALYTES: Final[Mapping[str, Analyte]] = MappingProxyType(
    {
        analyte.key: analyte
        for group in (INFLAMMATION, BLOOD_COUNT, CARDIAC_AND_CLOTTING, CHEMISTRY, BLOOD_GAS, TUMOR_MARKERS, URINE)
        for analyte in group
    }
)
"""Every analyte by key, in the order of display."""
