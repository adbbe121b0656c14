"""How long before a study a laboratory value still counts: the site's window, and longer for what changes slowly.

The longer times are minimum re-testing intervals: within them laboratory medicine expects a repeat to tell nothing
new in a stable patient. What changes within days, such as C-reactive protein, D-dimer or a blood count, has no
entry: for it the site's window (72 hours where nothing is said) stands.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import timedelta
from types import MappingProxyType
from typing import Final

from cds.domain.analytes import ANALYTES
from cds.domain.code import Code

LEEDS: Final = "Leeds Teaching Hospitals, re-testing guidance for stable in-patients"
RETEST: Final = "common minimum retest intervals, J Clin Pathol (jcp.bmj.com/highwire/markup/168827), table 3"
ACR: Final = "ACR Manual on Contrast Media: 30 days are accepted in outpatients before contrast"


@dataclass(frozen=True, slots=True, kw_only=True)
class Longer:
    """How many days an analyte counts before a study, and who says so."""

    days: int
    source: str


_BY_KEY: Final[tuple[tuple[int, str, str], ...]] = (
    (30, ACR, "creatinine egfr_ckd_epi"),
    (40, LEEDS, "hba1c"),
    (21, LEEDS, "ferritin folate"),
    (56, LEEDS, "vitamin_b12"),
    (28, LEEDS, "igg iga igm cholesterol hdl_cholesterol ldl_cholesterol triglycerides"),
    (7, LEEDS, "esr"),
    (6, LEEDS, "afp"),
    (13, LEEDS, "ca_125 psa"),
    (28, RETEST, "tsh free_t4 t4 t3"),
    (21, RETEST, "cea cyfra_21_1 nse scc_antigen pro_grp ca_27_29"),
)
LONGER: Final[Mapping[str, Longer]] = MappingProxyType(
    {
        ANALYTES[key].code.value: Longer(days=days, source=source)
        for days, source, keys in _BY_KEY
        for key in keys.split()
    }
)
"""By LOINC code of the analyte."""
LONGEST: Final = timedelta(days=max(longer.days for longer in LONGER.values()))


def counts_before(analyte: Code, site: timedelta) -> timedelta:
    """How long before the study a value counts: the site's window, or the analyte's own where that is longer."""
    longer = LONGER.get(analyte.value)
    return max(site, timedelta(days=longer.days)) if longer else site
