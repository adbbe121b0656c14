"""Blood gases, tumour markers, urine; see `cds.domain.analyte` for the sources."""

from __future__ import annotations

from typing import Final

from cds.domain.analyte import ABIM, JIANG, KLAESTRUP, MAYO, one_range, row
from cds.domain.units import Kind

# fmt: off
BLOOD_GAS: Final = (
    row("arterial_ph", "2744-1", "pH of Arterial blood", "动脉血pH", "[pH]", Kind.PH,
        "arterial pH|pH arterial|pHa|动脉血酸碱度", ranges=one_range(7.38, 7.46, KLAESTRUP)),
    row("arterial_pco2", "2019-8", "Carbon dioxide [Partial pressure] in Arterial blood", "动脉血二氧化碳分压",
        "mm[Hg]", Kind.PRESSURE, "PaCO2|arterial pCO2|pCO2 arterial", ranges=one_range(32.3, 45.0, KLAESTRUP)),
    row("arterial_po2", "2703-7", "Oxygen [Partial pressure] in Arterial blood", "动脉血氧分压", "mm[Hg]",
        Kind.PRESSURE, "PaO2|arterial pO2|pO2 arterial", ranges=one_range(75, 100, f"{ABIM} (room air)")),
    row("arterial_so2", "2708-6", "Oxygen saturation in Arterial blood", "动脉血氧饱和度", "%", Kind.PERCENT,
        "SaO2|arterial oxygen saturation", ranges=one_range(97, 99, KLAESTRUP)),
    row("blood_ph", "11558-4", "pH of Blood", "血液pH", "[pH]", Kind.PH, "blood pH|pH of blood"),
    row("blood_pco2", "11557-6", "Carbon dioxide [Partial pressure] in Blood", "血二氧化碳分压", "mm[Hg]",
        Kind.PRESSURE, "blood pCO2"),
    row("blood_po2", "11556-8", "Oxygen [Partial pressure] in Blood", "血氧分压", "mm[Hg]", Kind.PRESSURE,
        "blood pO2"),
    row("blood_so2", "20564-1", "Oxygen saturation in Blood", "血氧饱和度", "%", Kind.PERCENT,
        "blood oxygen saturation"),
    row("base_excess", "11555-0", "Base excess in Blood by calculation", "碱剩余", "mmol/L", Kind.MOLES,
        "BE|base excess|剩余碱", charge=1, signed=True),
    row("total_co2", "34728-6", "Carbon dioxide, total [Moles/volume] in Blood by calculation", "二氧化碳总量",
        "mmol/L", Kind.MOLES, "TCO2|calculated total CO2|总二氧化碳", charge=1),
    row("carboxyhemoglobin", "20563-3", "Carboxyhemoglobin/Hemoglobin.total in Blood", "碳氧血红蛋白", "%",
        Kind.PERCENT, "COHb|carboxyhemoglobin"),
    row("methemoglobin", "2614-6", "Methemoglobin/Hemoglobin.total in Blood", "高铁血红蛋白", "%", Kind.PERCENT,
        "MetHb|methemoglobin"),
)
TUMOR_MARKERS: Final = (
    row("cea", "2039-6", "Carcinoembryonic Ag [Mass/volume] in Serum or Plasma", "癌胚抗原", "ng/mL", Kind.MASS,
        "CEA|carcinoembryonic antigen", ranges=one_range(None, 5.0, "Roche Elecsys CEA 2020, non-smokers")),
    row("cyfra_21_1", "25390-6", "Cytokeratin 19 [Mass/volume] in Serum or Plasma", "细胞角蛋白19片段", "ng/mL",
        Kind.MASS, "CYFRA 21-1|CYFRA21-1|cytokeratin 19 fragment|细胞角蛋白19片段(CYFRA21-1)|"
        "非小细胞肺癌相关抗原21-1", ranges=one_range(None, 4.39, JIANG)),
    row("nse", "15060-7", "Enolase.neuron specific [Mass/volume] in Serum or Plasma", "神经元特异性烯醇化酶",
        "ng/mL", Kind.MASS, "NSE|neuron specific enolase|neuron-specific enolase|神经元特异烯醇化酶",
        ranges=one_range(None, 15, f"{MAYO}, NSE")),
    row("scc_antigen", "9679-2", "Squamous cell carcinoma Ag [Mass/volume] in Serum or Plasma", "鳞状细胞癌抗原",
        "ng/mL", Kind.MASS, "SCC|SCCA|SCC antigen|SCC-Ag|squamous cell carcinoma antigen|鳞癌抗原|"
        "鳞状上皮细胞癌抗原", ranges=one_range(None, 2.64, JIANG)),
    row("pro_grp", "96461-9",
        "Gastrin releasing polypeptide prohormone [Mass/volume] in Serum or Plasma by Immunoassay",
        "胃泌素释放肽前体", "pg/mL", Kind.MASS, short="Pro-gastrin releasing peptide [Mass/volume] in SerPl",
        names="ProGRP|Pro-GRP|pro-gastrin-releasing peptide|gastrin-releasing peptide precursor",
        ranges=one_range(None, 73.9, "PMID 29978740")),
    row("afp", "1834-1", "Alpha-1-Fetoprotein [Mass/volume] in Serum or Plasma", "甲胎蛋白", "ng/mL", Kind.MASS,
        "AFP|alpha-fetoprotein"),
    row("psa", "2857-1", "Prostate specific Ag [Mass/volume] in Serum or Plasma", "前列腺特异性抗原", "ng/mL",
        Kind.MASS, "PSA|prostate specific antigen|总前列腺特异性抗原"),
    row("ca_125", "10334-1", "Cancer Ag 125 [Units/volume] in Serum or Plasma", "糖类抗原125", "k[IU]/L",
        Kind.ARBITRARY, "CA125|CA-125|CA 125"),
    row("ca_27_29", "17842-6", "Cancer Ag 27-29 [Units/volume] in Serum or Plasma", "糖类抗原27-29", "k[IU]/L",
        Kind.ARBITRARY, "CA 27.29|cancer antigen 27.29"),
)
URINE: Final = (
    row("urine_ph", "5803-2", "pH of Urine by Test strip", "尿pH", "[pH]", Kind.PH, "urine pH|尿液酸碱度",
        also=("2756-5",)),
    row("urine_specific_gravity", "5811-5", "Specific gravity of Urine by Test strip", "尿比重", "1", Kind.RATIO,
        "urine specific gravity|specific gravity"),
    row("urine_protein", "5804-0", "Protein [Mass/volume] in Urine by Test strip", "尿蛋白", "mg/dL", Kind.MASS,
        "urine protein|尿蛋白定量", also=("2888-6",)),
    row("urine_glucose", "5792-7", "Glucose [Mass/volume] in Urine by Test strip", "尿葡萄糖", "mg/dL", Kind.MASS,
        "urine glucose|尿糖", molar_mass=180.156),
    row("urine_ketones", "5797-6", "Ketones [Mass/volume] in Urine by Test strip", "尿酮体", "mg/dL", Kind.MASS,
        "urine ketones"),
    row("urine_urobilinogen", "20405-7", "Urobilinogen [Mass/volume] in Urine by Test strip", "尿胆原", "mg/dL",
        Kind.MASS, "urine urobilinogen"),
    row("urine_creatinine", "2161-8", "Creatinine [Mass/volume] in Urine", "尿肌酐", "mg/dL", Kind.MASS,
        "urine creatinine|creatinine, urine", molar_mass=113.12),
    row("urine_sodium", "2955-3", "Sodium [Moles/volume] in Urine", "尿钠", "mmol/L", Kind.MOLES,
        "urine sodium|sodium, urine", molar_mass=22.99, charge=1),
    row("urine_potassium", "2828-2", "Potassium [Moles/volume] in Urine", "尿钾", "mmol/L", Kind.MOLES,
        "urine potassium|potassium, urine", molar_mass=39.098, charge=1),
    row("urine_chloride", "2078-4", "Chloride [Moles/volume] in Urine", "尿氯", "mmol/L", Kind.MOLES,
        "urine chloride|chloride, urine", molar_mass=35.453, charge=1),
    row("urine_urea_nitrogen", "3095-7", "Urea nitrogen [Mass/volume] in Urine", "尿尿素氮", "mg/dL", Kind.MASS,
        "urine urea nitrogen|urea nitrogen, urine", molar_mass=28.014),
    row("urine_osmolality", "2695-5", "Osmolality of Urine", "尿渗透压", "mosm/kg", Kind.OSMOLALITY,
        "urine osmolality|osmolality, urine"),
    row("urine_protein_creatinine", "2890-2", "Protein/Creatinine [Mass Ratio] in Urine", "尿蛋白/肌酐比值", "mg/g",
        Kind.MASS_RATIO, "urine protein/creatinine ratio"),
    row("urine_leukocytes", "5821-4", "Leukocytes [#/area] in Urine sediment by Microscopy high power field",
        "尿沉渣白细胞", "/[HPF]", Kind.FIELD, "urine leukocytes|urine WBC",
        short="Leukocytes [#/area] in Urine sediment"),
    row("urine_erythrocytes", "13945-1", "Erythrocytes [#/area] in Urine sediment by Microscopy high power field",
        "尿沉渣红细胞", "/[HPF]", Kind.FIELD, "urine erythrocytes|urine RBC",
        short="Erythrocytes [#/area] in Urine sediment"),
    row("urine_epithelial_cells", "5787-7",
        "Epithelial cells [#/area] in Urine sediment by Microscopy high power field", "尿沉渣上皮细胞", "/[HPF]",
        Kind.FIELD, "urine epithelial cells", short="Epithelial cells [#/area] in Urine sediment"),
)
# fmt: on
