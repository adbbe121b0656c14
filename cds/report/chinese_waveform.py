"""The Chinese of what is said about waveforms; see `cds.report.chinese_texts`."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Final

_MISSING: Final = {
    "the case has no electrocardiogram": "本病例无心电图",
    "no electrocardiogram may be read ({})": "无可读取的心电图（{}）",
    "no waveform of the case can be read: {}": "本病例的波形均无法读取：{}",
    "the waveform cannot be read: {}": "波形无法读取：{}",
    "the file has no Waveform Sequence": "文件无波形序列",
    "the samples of the waveform cannot be decoded: {}": "波形采样值无法解码：{}",
    "the WFDB header cannot be read: {}": "WFDB头文件无法读取：{}",
    "the WFDB record cannot be read: {}": "WFDB记录无法读取：{}",
    "a signal file of the WFDB record cannot be read: {}": "WFDB记录的信号文件无法读取：{}",
    "the WFDB annotations cannot be read: {}": "WFDB标注无法读取：{}",
    "the WFDB annotations are cut": "WFDB标注不完整",
    "numbers only, not interpreted": "仅为数值，未作判读",
}

_GATES: Final = {
    "ECG length": "心电图时长",
    "ECG sampling": "心电图采样率",
    "ECG leads": "心电图导联",
    "ECG beats": "心电图心搏",
    "ECG identity": "心电图身份",
    "{n} s were recorded": "记录时长{}秒",
    "{n} s or more are read": "须至少{}秒",
    "{n} h were recorded": "记录时长{}小时",
    "at most {n} h are read": "至多读取{}小时",
    "sampled at {n} Hz": "采样率{} Hz",
    "{n} Hz or more are read": "须至少{} Hz",
    "{n} of {n} leads are read": "读取{1}个导联中的{0}个",
    "flat: {}": "平直：{}",
    "saturated: {}": "饱和：{}",
    "noise: {}": "噪声：{}",
    "values are missing: {}": "缺值：{}",
    "flat": "平直",
    "saturated": "饱和",
    "noise": "噪声",
    "values are missing": "缺值",
    "{n} beats were found": "检出{}个心搏",
    "{n} or more are read": "须至少{}个",
    "a rate outside {n} to {n} per minute is not believed": "心率在每分钟{}至{}次之外者不予采信",
    "the file names no patient; who it is of was said beside it": "文件未注明患者；身份由其来源说明",
    "the file names the study's patient": "文件所注患者与本检查一致",
    "{} of the file and of the study differ": "文件与本检查的{}不一致",
    "issuer of the Patient ID": "患者编号签发机构",
}

_NOTES: Final = {
    "mean of {n} beats, {n} to {n} ms": "{}个心搏的平均值，{}至{} ms",
    "variation of all intervals, ectopic beats included": "全部间期的变异，含异位心搏",
    "the rhythm is regular by this number alone (irregular from {n}); it names no rhythm": (
        "仅按此数值节律规则（自{}起为不规则）；不作节律诊断"
    ),
    "the rhythm is irregular by this number alone (irregular from {n}); it names no rhythm": (
        "仅按此数值节律不规则（自{}起为不规则）；不作节律诊断"
    ),
    "by the shape of the QRS complex; noise counts as unlike": "按QRS波形判断；噪声计为不同",
    "lead {w}, against the level before the QRS complex": "{}导联，以QRS波前电平为基线",
    "elevated beyond the limit in it and a neighbouring lead (limit: {})": "该导联及相邻导联抬高超过界限（界限：{}）",
    "depressed beyond the limit in it and a neighbouring lead (limit: {})": "该导联及相邻导联压低超过界限（界限：{}）",
    "not compared with limits": "未与界限比较",
    "{w} the limits: {n} to {n} {w} ({})": "{}界限：{}至{} {}（{}）",
    "{w} the limits: up to {n} {w} ({})": "{}界限：至{} {}（{}）",
    "within": "未超出",
    "above": "高于",
    "below": "低于",
    "convention for adults at rest": "成人静息惯例",
    "Fourth Universal Definition of Myocardial Infarction 2018, {}": "2018年第四版心肌梗死通用定义，{}",
}

_LIMITS: Final = {
    "The electrocardiogram was measured by signal processing: numbers, no rhythm and no diagnosis; a physician must"
    " read the tracing.": "心电图由信号处理测量：仅为数值，不含节律判断或诊断；须由医师阅读图形。",
    "The electrocardiogram is not used by the fusion model: it moves no probability.": (
        "融合模型未使用心电图：它不改变任何概率。"
    ),
    "ST levels and intervals are of the median beat; bundle branch block, hypertrophy, pacing and atrial flutter or"
    " fibrillation make them mean something else.": (
        "ST电平和间期取自中位心搏；束支传导阻滞、肥厚、起搏及心房扑动或颤动时其意义不同。"
    ),
}

_JOINED: Final = {
    "no row has the Patient ID of this study": "无任何行含本检查的患者编号",
    "the file is neither a WFDB header nor DICOM, by its ending (HEA, DCM)": (
        "按扩展名，文件既非WFDB头文件（HEA）也非DICOM（DCM）"
    ),
    "the file lies outside the folder of the index": "文件不在索引所在文件夹内",
    "the file cannot be read": "文件无法读取",
    "a signal file of the record cannot be read": "记录的信号文件无法读取",
    "the index cannot be read": "索引无法读取",
    "the index has no column {}": "索引缺少列{}",
    "the row names no file": "该行未注明文件",
    "the time is not understood; ISO 8601 with a zone is wanted": "时间无法识别；须为带时区的ISO 8601格式",
}

WAVEFORMS: Final[Mapping[str, str]] = MappingProxyType(_MISSING | _GATES | _NOTES | _LIMITS | _JOINED)
"""English to Chinese."""
