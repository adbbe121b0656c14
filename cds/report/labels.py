"""What the values are called in both languages; every encoding takes its labels from here."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Final

Bilingual = tuple[str, str]
"""(English, Chinese)."""

BANNER: Final[Bilingual] = (
    "AI decision support, unverified: needs review by a physician",
    "人工智能辅助决策，未经医师确认：须由医师审核",
)

ASSERTIONS: Final[Mapping[str, Bilingual]] = MappingProxyType(
    {
        "PRESENT": ("present", "存在"),
        "ABSENT": ("absent", "未见"),
        "UNCERTAIN": ("uncertain", "不确定"),
        "NOT_ASSESSED": ("not assessed", "未评估"),
    }
)

SUSPECTED: Final[Bilingual] = ("suspected", "疑似")
"""PRESENT, where the number behind it was never measured on patients."""

MEASURED: Final[Bilingual] = ("measured", "测得")
"""Of numbers, which are neither present nor absent."""

STRIP_NOTE: Final[Bilingual] = (
    "Triangles: R peaks that were found. Not to the scale of paper; do not measure on it.",
    "三角：检出的R峰。非纸面比例，请勿据此测量。",
)

STALE: Final[Bilingual] = ("old", "较旧")
"""Of a laboratory value that was taken long before the study, for what it is."""

SPREAD: Final[Bilingual] = ("model spread", "模型间差异")
INTERVAL: Final[Bilingual] = ("95 % interval", "95%区间")

MODALITIES: Final[Mapping[str, Bilingual]] = MappingProxyType(
    {
        "chest_xray": ("chest X-ray", "胸部X线"),
        "chest_ct": ("chest CT", "胸部CT"),
        "labs": ("laboratory", "检验"),
        "text": ("report text", "报告文本"),
        "waveform": ("waveform", "波形"),
    }
)

KINDS: Final[Mapping[str, Bilingual]] = MappingProxyType(
    {
        "DIFFERENTIAL": ("differential diagnosis", "鉴别诊断"),
        "FOLLOW_UP": ("follow-up", "随访"),
        "CONTRADICTION": ("contradiction", "矛盾"),
    }
)

SECTIONS: Final[Mapping[str, Bilingual]] = MappingProxyType(
    {
        "study": ("Patient and study", "患者与检查"),
        "changes": ("What has changed", "变化"),
        "impression": ("Impression", "印象"),
        "findings": ("Findings", "所见"),
        "images": ("Images", "图像"),
        "contributions": ("What moved each probability", "各模态的贡献"),
        "measurements": ("Measurements", "测量"),
        "waveform": ("Electrocardiogram", "心电图"),
        "priors": ("Compared with earlier studies", "与既往检查比较"),
        "said_earlier": ("Sizes in earlier reports", "既往报告中的大小"),
        "labs": ("Laboratory values used", "所用检验结果"),
        "texts": ("Text passages used", "所用文本片段"),
        "knowledge": ("Knowledge: why, with sources", "知识依据与来源"),
        "recommendations": ("Guideline recommendations", "指南建议"),
        "missing": ("What was missing, and why", "缺失的信息及原因"),
        "rejected": ("Records seen and not used", "已见而未采用的记录"),
        "gates": ("Checks of intended use and quality", "适用性与质量检查"),
        "limits": ("Limits", "局限"),
        "software": ("Software and models", "软件与模型"),
        "because": ("Because of", "依据"),
        "evidence": ("Evidence", "证据"),
    }
)

FIELDS: Final[Mapping[str, Bilingual]] = MappingProxyType(
    {
        "patient": ("Patient", "患者"),
        "patient_id": ("Patient ID", "患者编号"),
        "birth_date": ("Born", "出生日期"),
        "sex": ("Sex", "性别"),
        "study": ("Study", "检查"),
        "study_date": ("Study date", "检查日期"),
        "accession": ("Accession", "检查号"),
        "reason": ("Reason for exam", "检查原因"),
        "images": ("Images", "图像数"),
        "created": ("Report", "报告时间"),
        "revision": ("Revision", "版本"),
        "finding": ("Finding", "所见"),
        "site": ("Site", "部位"),
        "probability": ("Probability (interval)", "概率（区间）"),
        "analyte": ("Analyte", "项目"),
        "value": ("Value", "结果"),
        "reference": ("Reference", "参考范围"),
        "time": ("Taken at", "采样时间"),
        "source": ("Source", "来源"),
        "calibrated_on": ("Calibrated on", "校准数据"),
    }
)

SEXES: Final[Mapping[str, Bilingual]] = MappingProxyType(
    {"M": ("male", "男"), "F": ("female", "女"), "O": ("other", "其他"), "": ("not stated", "未注明")}
)

TEXT_KINDS: Final[Mapping[str, Bilingual]] = MappingProxyType(
    {"current": ("report", "本次报告"), "prior": ("earlier report", "既往报告"), "order": ("order", "申请单")}
)
