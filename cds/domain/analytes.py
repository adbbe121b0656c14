"""The laboratory quantities that this software understands: LOINC, names, house unit, reference range.

LOINC codes and long common names are LOINC's own (https://loinc.org). This material contains content
from LOINC, copyright Regenstrief Institute, Inc. and the LOINC Committee, available at no cost under
the license at https://loinc.org/license. LOINC is a registered trademark of Regenstrief Institute, Inc.

The house unit is what every value is converted to; it fits the property of the LOINC code (a mass
concentration is never given a molar unit). Reference ranges are only a default, nearly all for adults:
the range that the laboratory gave with its value always goes first.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
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


def _range(low: float | None, high: float | None, source: str = ABIM) -> tuple[ReferenceRange, ...]:
    return (ReferenceRange(low=low, high=high, source=source),)


def _by_sex(female: tuple[float, float], male: tuple[float, float], source: str = ABIM) -> tuple[ReferenceRange, ...]:
    return (
        ReferenceRange(low=female[0], high=female[1], sex="F", source=source),
        ReferenceRange(low=male[0], high=male[1], sex="M", source=source),
    )


def _analyte(
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
    )


# fmt: off
_INFLAMMATION = (
    _analyte("crp", "1988-5", "C reactive protein [Mass/volume] in Serum or Plasma", "C反应蛋白", "mg/L", Kind.MASS,
             "CRP|C-reactive protein|C-反应蛋白|C 反应蛋白定量",
             ranges=(ReferenceRange(high=5.0, from_years=0.0, source=f"{MAYO}, CRP (all ages)"),)),
    _analyte("hs_crp", "30522-7", "C reactive protein [Mass/volume] in Serum or Plasma by High sensitivity method",
             "超敏C反应蛋白", "mg/L", Kind.MASS, short="CRP SerPl HS-mCnc",
             names="hs-CRP|hsCRP|High sensitivity C-reactive protein|高敏C反应蛋白|超敏C-反应蛋白",
             ranges=_range(None, 3.0, "ARUP Laboratories test 0050182")),
    _analyte("pct", "33959-8", "Procalcitonin [Mass/volume] in Serum or Plasma", "降钙素原", "ng/mL", Kind.MASS,
             "PCT|procalcitonin|降钙素原检测", also=("75241-0",), ranges=_range(None, 0.10)),
    _analyte("esr", "30341-2", "Erythrocyte sedimentation rate", "红细胞沉降率", "mm/h", Kind.SEDIMENTATION,
             "ESR|sed rate|sedimentation rate|血沉|血沉率", also=("4537-7",), ranges=_by_sex((0, 20), (0, 15))),
    _analyte("ferritin", "2276-4", "Ferritin [Mass/volume] in Serum or Plasma", "铁蛋白", "ng/mL", Kind.MASS,
             "ferritin|serum ferritin|血清铁蛋白", also=("20567-4",), ranges=_by_sex((24, 307), (24, 336))),
    _analyte("il6", "26881-3", "Interleukin 6 [Mass/volume] in Serum or Plasma", "白细胞介素6", "pg/mL", Kind.MASS,
             "IL-6|interleukin-6|白介素6|白介素-6", ranges=_range(None, 6.4, f"{MAYO}, IL6DX")),
    _analyte("lactate", "2524-7", "Lactate [Moles/volume] in Serum or Plasma", "乳酸", "mmol/L", Kind.MOLES,
             "lactate|lactic acid|Lac|血乳酸", also=("32693-4", "2518-9"), molar_mass=90.078, ranges=_range(0.7, 2.1)),
)
_BLOOD_COUNT = (
    _analyte("wbc", "6690-2", "Leukocytes [#/volume] in Blood by Automated count", "白细胞计数", "10*9/L", Kind.COUNT,
             "WBC|white blood cells|white blood cell count|white cell count|leukocytes|leukocyte count|白细胞|"
             "白细胞数|WBC计数", also=("26464-8", "804-5", "49498-9"), ranges=_range(3.5, 9.5, WST405)),
    _analyte("neutrophils", "751-8", "Neutrophils [#/volume] in Blood by Automated count", "中性粒细胞计数", "10*9/L",
             Kind.COUNT, "NEUT#|ANC|neutrophils#|neutrophils count|neutrophil count|absolute neutrophil count|"
             "absolute neutrophils|中性粒细胞(#)|中性粒细胞绝对值|中性粒细胞数|中性粒细胞绝对数",
             also=("26499-4", "753-4"), ranges=_range(1.8, 6.3, WST405)),
    _analyte("neutrophils_percent", "770-8", "Neutrophils/100 leukocytes in Blood by Automated count",
             "中性粒细胞百分比", "%", Kind.PERCENT, "NEUT%|neutrophils(%)|neutrophils %|neutrophil percent|"
             "neutrophil percentage|中性粒细胞(%)|中性粒细胞百分率|中性粒细胞比率", also=("26511-6", "23761-0"),
             ranges=_range(40, 75, WST405)),
    _analyte("lymphocytes", "731-0", "Lymphocytes [#/volume] in Blood by Automated count", "淋巴细胞计数", "10*9/L",
             Kind.COUNT, "LYMPH#|ALC|lymphocytes#|lymphocyte count|lymphocytes count|absolute lymphocyte count|"
             "absolute lymphocytes|淋巴细胞(#)|淋巴细胞绝对值|淋巴细胞数|淋巴细胞绝对数", also=("26474-7", "732-8"),
             ranges=_range(1.1, 3.2, WST405)),
    _analyte("lymphocytes_percent", "736-9", "Lymphocytes/100 leukocytes in Blood by Automated count",
             "淋巴细胞百分比", "%", Kind.PERCENT, "LYMPH%|lymphocytes(%)|(%)lymphocyte|lymphocytes %|"
             "lymphocyte percent|lymphocyte percentage|淋巴细胞(%)|淋巴细胞百分率|淋巴细胞比率",
             also=("26478-8", "737-7"), ranges=_range(20, 50, WST405)),
    _analyte("eosinophils", "711-2", "Eosinophils [#/volume] in Blood by Automated count", "嗜酸性粒细胞计数",
             "10*9/L", Kind.COUNT, "EOS#|eosinophils#|eosinophil count|eosinophils count|absolute eosinophil count|"
             "嗜酸细胞(#)|嗜酸性粒细胞绝对值|嗜酸性粒细胞(#)", also=("26449-9", "712-0"),
             ranges=_range(0.02, 0.52, WST405)),
    _analyte("eosinophils_percent", "713-8", "Eosinophils/100 leukocytes in Blood by Automated count",
             "嗜酸性粒细胞百分比", "%", Kind.PERCENT, "EOS%|eosinophils(%)|eosinophils %|eosinophil percent|"
             "eosinophil percentage|嗜酸细胞(%)|嗜酸性粒细胞(%)", also=("26450-7", "714-6"),
             ranges=_range(0.4, 8.0, WST405)),
    _analyte("hemoglobin", "718-7", "Hemoglobin [Mass/volume] in Blood", "血红蛋白", "g/L", Kind.MASS,
             "Hb|HGB|hemoglobin|haemoglobin|血红蛋白浓度", ranges=_by_sex((115, 150), (130, 175), WST405)),
    _analyte("platelets", "777-3", "Platelets [#/volume] in Blood by Automated count", "血小板计数", "10*9/L",
             Kind.COUNT, "PLT|platelets|platelet count|thrombocytes|血小板|血小板数",
             also=("26515-7", "778-1", "49497-1"), ranges=_range(125, 350, WST405)),
)
_CARDIAC_AND_CLOTTING = (
    _analyte("d_dimer", "48065-7", "Fibrin D-dimer FEU [Mass/volume] in Platelet poor plasma", "D-二聚体", "mg/L{FEU}",
             Kind.MASS, "D-dimer|D dimer|D-D dimer|D二聚体|D-D二聚体|D-D二聚体定量|D-二聚体定量",
             ranges=_range(None, 0.5)),
    _analyte("bnp", "30934-4", "Natriuretic peptide B [Mass/volume] in Serum or Plasma", "B型利钠肽", "pg/mL",
             Kind.MASS, "BNP|B-type natriuretic peptide|brain natriuretic peptide|脑钠肽|B型钠尿肽", also=("42637-9",),
             molar_mass=3464.0, ranges=_range(None, 100)),
    _analyte("nt_probnp", "33762-6", "Natriuretic peptide.B prohormone N-Terminal [Mass/volume] in Serum or Plasma",
             "N末端B型利钠肽原", "pg/mL", Kind.MASS, short="NT-proBNP SerPl-mCnc", names="NT-proBNP|NT proBNP|"
             "Amino-terminal brain natriuretic peptide precursor(NT-proBNP)|氨基末端脑钠肽前体|"
             "氨基末端脑钠肽前体（NT-proBNP）|N端脑钠肽前体|N末端脑钠肽前体", molar_mass=8457.0,
             ranges=_range(None, 125, "ESC heart failure guidelines 2021, 4.2 (doi:10.1093/eurheartj/ehab368)")),
    _analyte("troponin_i", "10839-9", "Troponin I.cardiac [Mass/volume] in Serum or Plasma", "肌钙蛋白I", "ng/mL",
             Kind.MASS, "troponin I|cTnI|TnI|cardiac troponin I|心肌肌钙蛋白I|肌钙蛋白-I", ranges=_range(None, 0.04)),
    _analyte("hs_troponin_i", "89579-7",
             "Troponin I.cardiac [Mass/volume] in Serum or Plasma by High sensitivity method", "高敏肌钙蛋白I", "ng/L",
             Kind.MASS, short="Troponin I.cardiac [Mass/volume] in SerPl by High sensitivity",
             names="hs-cTnI|hs-TnI|hs troponin I|high sensitivity troponin I|Hypersensitive cardiac troponinI|"
             "高敏心肌肌钙蛋白I|超敏肌钙蛋白I", ranges=_by_sex((0, 15), (0, 20))),
    _analyte("troponin_t", "6598-7", "Troponin T.cardiac [Mass/volume] in Serum or Plasma", "肌钙蛋白T", "ng/mL",
             Kind.MASS, "troponin T|cTnT|TnT|cardiac troponin T|心肌肌钙蛋白T|肌钙蛋白-T"),
    _analyte("hs_troponin_t", "67151-1",
             "Troponin T.cardiac [Mass/volume] in Serum or Plasma by High sensitivity method", "高敏肌钙蛋白T", "ng/L",
             Kind.MASS, short="Troponin T.cardiac [Mass/volume] in SerPl by High sensitivity",
             names="hs-cTnT|hs-TnT|hs troponin T|high sensitivity troponin T|高敏心肌肌钙蛋白T|超敏肌钙蛋白T",
             ranges=_range(None, 14, "99th percentile, doi:10.18632/oncotarget.20328")),
)
_CHEMISTRY = (
    _analyte("ldh", "2532-0", "Lactate dehydrogenase [Enzymatic activity/volume] in Serum or Plasma", "乳酸脱氢酶",
             "U/L", Kind.ACTIVITY, short="LDH SerPl-cCnc", names="LDH|LD|lactate dehydrogenase|"
             "lactate dehydrogenase (LD)", also=("14804-9",), ranges=_range(80, 225)),
    _analyte("creatinine", "2160-0", "Creatinine [Mass/volume] in Serum or Plasma", "肌酐", "mg/dL", Kind.MASS,
             "creatinine|serum creatinine|Cr|Crea|Scr|血肌酐|血清肌酐", also=("14682-9",), molar_mass=113.12,
             ranges=_by_sex((0.5, 1.1), (0.7, 1.3))),
    _analyte("urea_nitrogen", "3094-0", "Urea nitrogen [Mass/volume] in Serum or Plasma", "尿素氮", "mg/dL", Kind.MASS,
             "BUN|urea nitrogen|blood urea nitrogen|血尿素氮|血清尿素氮", also=("14937-7",), molar_mass=28.014,
             ranges=_range(8, 20)),
    _analyte("urea", "22664-7", "Urea [Moles/volume] in Serum or Plasma", "尿素", "mmol/L", Kind.MOLES,
             "urea|serum urea|血尿素|血清尿素", also=("3091-6",), molar_mass=60.056,
             ranges=_range(2.9, 7.1, f"{ABIM}: urea nitrogen 8-20 mg/dL")),
    _analyte("sodium", "2951-2", "Sodium [Moles/volume] in Serum or Plasma", "钠", "mmol/L", Kind.MOLES,
             "Na|Na+|sodium|serum sodium|血钠|血清钠", also=("2947-0",), molar_mass=22.990, charge=1,
             ranges=_range(136, 145)),
    _analyte("potassium", "2823-3", "Potassium [Moles/volume] in Serum or Plasma", "钾", "mmol/L", Kind.MOLES,
             "K|K+|potassium|serum potassium|血钾|血清钾", also=("6298-4",), molar_mass=39.098, charge=1,
             ranges=_range(3.5, 5.0)),
    _analyte("calcium", "17861-6", "Calcium [Mass/volume] in Serum or Plasma", "钙", "mg/dL", Kind.MASS,
             "Ca|calcium|calcium, total|total calcium|serum calcium|总钙|血钙|血清钙", also=("2000-8",),
             molar_mass=40.078, charge=2, ranges=_range(8.6, 10.2)),
    _analyte("glucose", "2345-7", "Glucose [Mass/volume] in Serum or Plasma", "葡萄糖", "mg/dL", Kind.MASS,
             "Glu|glucose|blood glucose|血糖", also=("14749-6", "2339-0"), molar_mass=180.156,
             ranges=_range(70, 99, f"{ABIM} (fasting)")),
    _analyte("albumin", "1751-7", "Albumin [Mass/volume] in Serum or Plasma", "白蛋白", "g/L", Kind.MASS,
             "Alb|albumin|serum albumin|血清白蛋白", ranges=_range(35, 55)),
    _analyte("alt", "1742-6", "Alanine aminotransferase [Enzymatic activity/volume] in Serum or Plasma",
             "丙氨酸氨基转移酶", "U/L", Kind.ACTIVITY, short="ALT SerPl-cCnc",
             names="ALT|GPT|SGPT|alanine aminotransferase|alanine aminotransferase (ALT)|"
             "glutamic-pyruvic transaminase|谷丙转氨酶", also=("1743-4",), ranges=_range(10, 40)),
    _analyte("ast", "1920-8", "Aspartate aminotransferase [Enzymatic activity/volume] in Serum or Plasma",
             "天门冬氨酸氨基转移酶", "U/L", Kind.ACTIVITY, short="AST SerPl-cCnc",
             names="AST|GOT|SGOT|aspartate aminotransferase|aspartate aminotransferase (AST)|谷草转氨酶|"
             "天冬氨酸氨基转移酶", also=("30239-8",), ranges=_range(10, 40)),
    _analyte("bilirubin", "1975-2", "Bilirubin.total [Mass/volume] in Serum or Plasma", "总胆红素", "mg/dL", Kind.MASS,
             "TBIL|TBil|T-Bil|total bilirubin|bilirubin, total|bilirubin", also=("14631-6",), molar_mass=584.66,
             ranges=_range(0.3, 1.0)),
)
_ARTERIAL_GAS = (
    _analyte("arterial_ph", "2744-1", "pH of Arterial blood", "动脉血pH", "[pH]", Kind.PH,
             "arterial pH|pH arterial|pHa|动脉血酸碱度", ranges=_range(7.38, 7.46, KLAESTRUP)),
    _analyte("arterial_pco2", "2019-8", "Carbon dioxide [Partial pressure] in Arterial blood", "动脉血二氧化碳分压",
             "mm[Hg]", Kind.PRESSURE, "PaCO2|arterial pCO2|pCO2 arterial", ranges=_range(32.3, 45.0, KLAESTRUP)),
    _analyte("arterial_po2", "2703-7", "Oxygen [Partial pressure] in Arterial blood", "动脉血氧分压", "mm[Hg]",
             Kind.PRESSURE, "PaO2|arterial pO2|pO2 arterial", ranges=_range(75, 100, f"{ABIM} (room air)")),
    _analyte("arterial_so2", "2708-6", "Oxygen saturation in Arterial blood", "动脉血氧饱和度", "%", Kind.PERCENT,
             "SaO2|arterial oxygen saturation", ranges=_range(97, 99, KLAESTRUP)),
)
_TUMOR_MARKERS = (
    _analyte("cea", "2039-6", "Carcinoembryonic Ag [Mass/volume] in Serum or Plasma", "癌胚抗原", "ng/mL", Kind.MASS,
             "CEA|carcinoembryonic antigen", ranges=_range(None, 5.0, "Roche Elecsys CEA 2020, non-smokers")),
    _analyte("cyfra_21_1", "25390-6", "Cytokeratin 19 [Mass/volume] in Serum or Plasma", "细胞角蛋白19片段", "ng/mL",
             Kind.MASS, "CYFRA 21-1|CYFRA21-1|cytokeratin 19 fragment|细胞角蛋白19片段(CYFRA21-1)|"
             "非小细胞肺癌相关抗原21-1", ranges=_range(None, 4.39, JIANG)),
    _analyte("nse", "15060-7", "Enolase.neuron specific [Mass/volume] in Serum or Plasma", "神经元特异性烯醇化酶",
             "ng/mL", Kind.MASS, "NSE|neuron specific enolase|neuron-specific enolase|神经元特异烯醇化酶",
             ranges=_range(None, 15, f"{MAYO}, NSE")),
    _analyte("scc_antigen", "9679-2", "Squamous cell carcinoma Ag [Mass/volume] in Serum or Plasma", "鳞状细胞癌抗原",
             "ng/mL", Kind.MASS, "SCC|SCCA|SCC antigen|SCC-Ag|squamous cell carcinoma antigen|鳞癌抗原|"
             "鳞状上皮细胞癌抗原", ranges=_range(None, 2.64, JIANG)),
    _analyte("pro_grp", "96461-9",
             "Gastrin releasing polypeptide prohormone [Mass/volume] in Serum or Plasma by Immunoassay",
             "胃泌素释放肽前体", "pg/mL", Kind.MASS, short="Pro-gastrin releasing peptide [Mass/volume] in SerPl",
             names="ProGRP|Pro-GRP|pro-gastrin-releasing peptide|gastrin-releasing peptide precursor",
             ranges=_range(None, 73.9, "PMID 29978740")),
)
# fmt: on

ANALYTES: Final[Mapping[str, Analyte]] = MappingProxyType(
    {
        analyte.key: analyte
        for group in (_INFLAMMATION, _BLOOD_COUNT, _CARDIAC_AND_CLOTTING, _CHEMISTRY, _ARTERIAL_GAS, _TUMOR_MARKERS)
        for analyte in group
    }
)
"""Every analyte by key, in the order of display."""
