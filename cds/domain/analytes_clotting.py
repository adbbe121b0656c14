"""Heart and clotting; see `cds.domain.analyte` for the sources."""

from __future__ import annotations

from typing import Final

from cds.domain.analyte import by_sex, one_range, row
from cds.domain.units import Kind

# fmt: off
CARDIAC_AND_CLOTTING: Final = (
    row("d_dimer", "48065-7", "Fibrin D-dimer FEU [Mass/volume] in Platelet poor plasma", "D-二聚体", "mg/L{FEU}",
        Kind.MASS, "D-dimer|D dimer|D-D dimer|D二聚体|D-D二聚体|D-D二聚体定量|D-二聚体定量",
        ranges=one_range(None, 0.5)),
    row("bnp", "30934-4", "Natriuretic peptide B [Mass/volume] in Serum or Plasma", "B型利钠肽", "pg/mL",
        Kind.MASS, "BNP|B-type natriuretic peptide|brain natriuretic peptide|脑钠肽|B型钠尿肽", also=("42637-9",),
        molar_mass=3464.0, ranges=one_range(None, 100)),
    row("nt_probnp", "33762-6", "Natriuretic peptide.B prohormone N-Terminal [Mass/volume] in Serum or Plasma",
        "N末端B型利钠肽原", "pg/mL", Kind.MASS, short="NT-proBNP SerPl-mCnc", names="NT-proBNP|NT proBNP|"
        "Amino-terminal brain natriuretic peptide precursor(NT-proBNP)|氨基末端脑钠肽前体|"
        "氨基末端脑钠肽前体（NT-proBNP）|N端脑钠肽前体|N末端脑钠肽前体", molar_mass=8457.0,
        ranges=one_range(None, 125, "ESC heart failure guidelines 2021, 4.2 (doi:10.1093/eurheartj/ehab368)")),
    row("troponin_i", "10839-9", "Troponin I.cardiac [Mass/volume] in Serum or Plasma", "肌钙蛋白I", "ng/mL",
        Kind.MASS, "troponin I|cTnI|TnI|cardiac troponin I|心肌肌钙蛋白I|肌钙蛋白-I", ranges=one_range(None, 0.04)),
    row("hs_troponin_i", "89579-7",
        "Troponin I.cardiac [Mass/volume] in Serum or Plasma by High sensitivity method", "高敏肌钙蛋白I", "ng/L",
        Kind.MASS, short="Troponin I.cardiac [Mass/volume] in SerPl by High sensitivity",
        names="hs-cTnI|hs-TnI|hs troponin I|high sensitivity troponin I|Hypersensitive cardiac troponinI|"
        "高敏心肌肌钙蛋白I|超敏肌钙蛋白I", ranges=by_sex((0, 15), (0, 20))),
    row("troponin_t", "6598-7", "Troponin T.cardiac [Mass/volume] in Serum or Plasma", "肌钙蛋白T", "ng/mL",
        Kind.MASS, "troponin T|cTnT|TnT|cardiac troponin T|心肌肌钙蛋白T|肌钙蛋白-T"),
    row("hs_troponin_t", "67151-1",
        "Troponin T.cardiac [Mass/volume] in Serum or Plasma by High sensitivity method", "高敏肌钙蛋白T", "ng/L",
        Kind.MASS, short="Troponin T.cardiac [Mass/volume] in SerPl by High sensitivity",
        names="hs-cTnT|hs-TnT|hs troponin T|high sensitivity troponin T|高敏心肌肌钙蛋白T|超敏肌钙蛋白T",
        ranges=one_range(None, 14, "99th percentile, doi:10.18632/oncotarget.20328")),
    row("prothrombin_time", "5902-2", "Prothrombin time (PT)", "凝血酶原时间", "s", Kind.TIME, "PT|prothrombin time"),
    row("inr", "6301-6", "INR in Platelet poor plasma by Coagulation assay", "国际标准化比值", "{INR}", Kind.INR,
        "INR|INR(PT)|PT-INR|international normalized ratio|international standard ratio|"
        "国际标准化比率", also=("34714-6",)),
    row("prothrombin_activity", "5894-1", "Prothrombin time (PT) actual/Normal", "凝血酶原活动度", "%",
        Kind.PERCENT, "PTA|prothrombin activity|PT%|凝血酶原时间活动度"),
    row("aptt", "14979-9", "aPTT in Platelet poor plasma by Coagulation assay", "活化部分凝血活酶时间", "s",
        Kind.TIME, "APTT|PTT|activated partial thromboplastin time|"
        "activation of partial thromboplastin time|部分凝血活酶时间", also=("3173-2",)),
    row("thrombin_time", "3243-3", "Thrombin time in Platelet poor plasma by Coagulation assay", "凝血酶时间", "s",
        Kind.TIME, "TT|thrombin time|thrombin"),
    row("fibrinogen", "3255-7", "Fibrinogen [Mass/volume] in Platelet poor plasma by Coagulation assay",
        "纤维蛋白原", "g/L", Kind.MASS, "FIB|fibrinogen|fibrinogen, functional|血浆纤维蛋白原",
        short="Fibrinogen [Mass/volume] in Platelet poor plasma"),
    row("antithrombin", "27811-9", "Antithrombin actual/normal in Platelet poor plasma by Chromogenic method",
        "抗凝血酶", "%", Kind.PERCENT, "antithrombin|antithrombin activity|抗凝血酶活性|抗凝血酶III",
        short="Antithrombin actual/normal in Platelet poor plasma"),
    row("fdp", "30226-5", "Fibrin+Fibrinogen fragments [Mass/volume] in Platelet poor plasma",
        "纤维蛋白（原）降解产物", "mg/L", Kind.MASS,
        "FDP|fibrin degradation products|fibrin(ogen) degradation products|纤维蛋白原降解产物",
        short="Fibrin+Fibrinogen fragments [Mass/volume] in PPP"),
    row("ck", "2157-6", "Creatine kinase [Enzymatic activity/volume] in Serum or Plasma", "肌酸激酶", "U/L",
        Kind.ACTIVITY, "CK|CPK|creatine kinase|creatine kinase (CK)|肌酸磷酸激酶"),
    row("ck_mb", "13969-1", "Creatine kinase.MB [Mass/volume] in Serum or Plasma", "肌酸激酶同工酶MB", "ng/mL",
        Kind.MASS, "CK-MB mass|creatine kinase, MB isoenzyme|肌酸激酶MB质量"),
)
# fmt: on
