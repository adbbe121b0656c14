"""The concepts that every room shares: thoracic findings and anatomy, each with its code.

SNOMED CT codes are only those of DICOM's own free set (PS3.16); RadLex (designator ``RADLEX``, PS3.16
Table 8-1) where DICOM has none and the identifier could be verified; where neither holds, ``99CDS`` (values
of at most 16 characters, as SH asks): a private code is honest, a wrong code is not.
`tests/unit/domain/test_vocabulary.py` holds each public code to its source. A key (``"pleural_effusion"``)
is how the rooms refer to a concept; the code is what leaves the house.
"""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

from cds.domain.code import Code

FINDINGS: Mapping[str, Code] = MappingProxyType(
    {
        "pneumonia": Code("RID5350", "RADLEX", "Pneumonia", "肺炎"),
        "consolidation": Code("RID43255", "RADLEX", "Consolidation", "实变"),
        "lung_opacity": Code("112001", "DCM", "Opacity", "片状影"),
        "infiltrate": Code("112121", "DCM", "Infiltrate", "浸润影"),
        "ground_glass_opacity": Code("112120", "DCM", "Ground glass opacity", "磨玻璃影"),
        "pleural_effusion": Code("60046008", "SCT", "Pleural effusion", "胸腔积液"),
        "pneumothorax": Code("36118008", "SCT", "Pneumothorax", "气胸"),
        "atelectasis": Code("RID28493", "RADLEX", "Atelectasis", "肺不张"),
        "pulmonary_edema": Code("19242006", "SCT", "Pulmonary edema", "肺水肿"),
        "vascular_congestion": Code("vasc_congestion", "99CDS", "Pulmonary vascular congestion", "肺淤血"),
        # PS3.16 prints (287272002, SCT, "Cardiomegaly"), but SNOMED CT's own name of that code is "Enlarged
        # septal foramen of heart", and RadLex has no such class: a private code misleads nobody.
        "cardiomegaly": Code("cardiomegaly", "99CDS", "Cardiomegaly", "心影增大"),
        "lung_nodule": Code("RID50149", "RADLEX", "Pulmonary nodule", "肺结节"),
        "lung_mass": Code("RID39056", "RADLEX", "Lung mass", "肺肿块"),
        "emphysema": Code("RID4799", "RADLEX", "Emphysema", "肺气肿"),
        "hyperinflation": Code("hyperinflation", "99CDS", "Hyperinflation", "肺过度充气"),
        "fibrosis": Code("fibrosis", "99CDS", "Pulmonary fibrosis", "肺纤维化"),
        "interstitial_pattern": Code("112004", "DCM", "Abnormal interstitial pattern", "间质性改变"),
        "bronchiectasis": Code("bronchiectasis", "99CDS", "Bronchiectasis", "支气管扩张"),
        "pleural_thickening": Code("pleural_thicken", "99CDS", "Pleural thickening", "胸膜增厚"),
        "lymphadenopathy": Code("30746006", "SCT", "Lymphadenopathy", "淋巴结肿大"),
        "cavity": Code("cavity", "99CDS", "Pulmonary cavity", "空洞"),
        "granuloma": Code("granuloma", "99CDS", "Granuloma", "肉芽肿"),
        "calcification": Code("RID5196", "RADLEX", "Calcification", "钙化"),
        "rib_fracture": Code("rib_fracture", "99CDS", "Rib fracture", "肋骨骨折"),
        "hiatal_hernia": Code("hiatal_hernia", "99CDS", "Hiatal hernia", "食管裂孔疝"),
        "scoliosis": Code("RID4756", "RADLEX", "Scoliosis", "脊柱侧弯"),
        "elevated_diaphragm": Code("elev_diaphragm", "99CDS", "Elevated diaphragm", "膈肌抬高"),
        "mediastinal_widening": Code("mediast_widening", "99CDS", "Mediastinal widening", "纵隔增宽"),
        "pericardial_effusion": Code("373945007", "SCT", "Pericardial effusion", "心包积液"),
        "tuberculosis": Code("tuberculosis", "99CDS", "Tuberculosis", "肺结核"),
        "covid19": Code("covid19", "99CDS", "COVID-19", "新型冠状病毒感染"),
        "lung_cancer": Code("93880001", "SCT", "Primary malignant neoplasm of lung", "肺癌"),
        "lung_metastasis": Code("94391008", "SCT", "Secondary malignant neoplasm of lung", "肺转移瘤"),
        "pulmonary_embolism": Code("59282003", "SCT", "Pulmonary embolism", "肺栓塞"),
        "heart_failure": Code("84114007", "SCT", "Heart failure", "心力衰竭"),
    }
)
"""Thoracic findings by key."""

ANATOMY: Mapping[str, Code] = MappingProxyType(
    {
        "lung": Code("39607008", "SCT", "Lung", "肺"),
        "right": Code("24028007", "SCT", "Right", "右"),
        "left": Code("7771000", "SCT", "Left", "左"),
        "bilateral": Code("51440002", "SCT", "Right and left", "双侧"),
        "upper_lobe": Code("45653009", "SCT", "Upper lobe of lung", "肺上叶"),
        "middle_lobe": Code("72481006", "SCT", "Middle lobe of right lung", "右肺中叶"),
        "lower_lobe": Code("90572001", "SCT", "Lower lobe of lung", "肺下叶"),
        "apex": Code("86598002", "SCT", "Apex of Lung", "肺尖"),
        "upper_zone": Code("281392002", "SCT", "Upper zone of lung", "上肺野"),
        "middle_zone": Code("281393007", "SCT", "Middle zone of lung", "中肺野"),
        "lower_zone": Code("281394001", "SCT", "Lower zone of lung", "下肺野"),
        "hilum": Code("46750007", "SCT", "Hilum of lung", "肺门"),
        "fissure": Code("278983006", "SCT", "Fissure of lung", "叶间裂"),
        "pleura": Code("3120008", "SCT", "Pleura", "胸膜"),
        "mediastinum": Code("72410000", "SCT", "Mediastinum", "纵隔"),
        "pericardium": Code("76848001", "SCT", "Pericardium", "心包"),
        "heart": Code("80891009", "SCT", "Heart", "心脏"),
        "aorta": Code("15825003", "SCT", "Aorta", "主动脉"),
        "pulmonary_artery": Code("81040000", "SCT", "Pulmonary artery", "肺动脉"),
        "trachea": Code("44567001", "SCT", "Trachea", "气管"),
        "diaphragm": Code("5798000", "SCT", "Diaphragm", "膈"),
        "esophageal_hiatus": Code("280062008", "SCT", "Esophageal Hiatus", "食管裂孔"),
        "lymph_node": Code("59441001", "SCT", "Lymph Node", "淋巴结"),
        "axilla": Code("91470000", "SCT", "Axilla", "腋窝"),
        "chest_wall": Code("78904004", "SCT", "Chest wall", "胸壁"),
        "rib": Code("113197003", "SCT", "Rib", "肋骨"),
        "spine": Code("421060004", "SCT", "Spine", "脊柱"),
    }
)
"""Anatomic regions and lateralities by key."""

ECG = Code("ecg", "99CDS", "Electrocardiogram measurements", "心电图测量值")
"""What was measured in an electrocardiogram: numbers, not a thoracic finding; it is measured, never present."""

KEY_OF: Mapping[Code, str] = MappingProxyType({code: key for key, code in FINDINGS.items()})
"""The key of a finding's code."""
