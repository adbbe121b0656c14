"""The Chinese of what the laboratory risk model says; see `cds.report.chinese_texts`."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Final

from cds.domain.analytes import ANALYTES

RISKS: Final[Mapping[str, str]] = MappingProxyType(
    {analyte.names[0]: analyte.code.meaning_zh for analyte in ANALYTES.values()}
    | {
        "no risk from laboratory values: {}": "未由检验结果估计风险：{}",
        "no current report or order states COVID-19": "当前报告及申请单均未述及新型冠状病毒感染",
        "a current text states it": "当前文本述及",
        "the configuration vouches for it": "由配置确认",
        "the age is not known": "年龄未知",
        "the patient is not an adult": "患者非成人",
        "an adult, as the training patients": "成人，与训练患者相同",
        "the laboratory values settle {} of the score, at least {} are needed": "现有检验结果决定评分的{}，至少需要{}",
        "the laboratory risk model gave a number that is none": "检验风险模型给出的结果不是有效数值",
        "moved most by: {}": "影响最大者：{}",
        "what was not measured could make it {} to {}": "未测项目可使其为{}至{}",
        "COVID-19": "新型冠状病毒感染",
        "adult": "成人",
        "laboratory values": "检验结果",
        "The laboratory risk model was trained on patients of one hospital in early 2020; today's risks are lower.": (
            "检验风险模型由一家医院2020年初的患者训练；如今的风险较低。"
        ),
        "It is for adults in hospital with COVID-19; whether the patient is in hospital was not checked.": (
            "该模型适用于新型冠状病毒感染的成人住院患者；未核对患者是否住院。"
        ),
    }
)
"""English to Chinese."""
