"""The Chinese of what is said about records and about attributes of the images; see `cds.report.chinese_texts`."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Final

_LABS: Final = {
    "Some laboratory values are preliminary: no final result of the same analyte was there.": (
        "部分检验结果为初步结果：同一项目尚无最终结果。"
    ),
    "Where the laboratory gave no reference range, a published default range was used; the note of each value says"
    " which.": "实验室未给出参考范围时，采用已发表的默认范围；各结果的附注说明所用范围。",
    "no laboratory values: no source of laboratory values is configured, or it has none for this patient": (
        "无检验结果：未配置检验来源，或该来源中无此患者的结果"
    ),
    "no laboratory value could be used: {}": "无可用的检验结果：{}",
    "and {n} more reasons": "另有{}项原因",
    "{} (reference range: {})": "{}（参考范围：{}）",
    "high": "偏高",
    "low": "偏低",
    "normal": "正常",
    "not compared": "未比较",
    "{}, as the laboratory gave it": "{}，由实验室提供",
    "{}, default: {}": "{}，默认：{}",
    "no reference range given": "未给出参考范围",
    "none given, and no default for this analyte, age and sex": "未给出，且该项目、年龄及性别无默认范围",
    "none given, and no default range for this age": "未给出，且该年龄无默认范围",
    "up to {n} {w}": "至{} {}",
    "from {n} {w}": "自{} {}",
    "{n} to {n} {w}": "{}至{} {}",
    "preliminary": "初步结果",
    "corrected": "已更正",
    "final": "最终结果",
    "cancelled": "已作废",
}

_RECORDS: Final = {
    "more than one patient in study {}": "检查{}中有多名患者",
    "the same SOP Instance UID was read before": "相同的SOP实例UID此前已读取",
    "{}: {n} row": "{}：{}行",
    "{}: {n} rows": "{}：{}行",
    "no column is known; the first row must name the columns: {}": "无可识别的列；首行须为列名：{}",
    "no column {}; there are: {}": "无列{}；现有：{}",
    "no column {}; there are: {} and {} more": "无列{}；现有：{}，另有{}列",
    "no column {} (nearest is {}); there are: {}": "无列{}（最相近的是{}）；现有：{}",
    "no column {} (nearest is {}); there are: {} and {} more": "无列{}（最相近的是{}）；现有：{}，另有{}列",
    "two columns are {}": "有两列同为{}",
    "the birth date does not exist in the calendar": "出生日期不存在",
    "the birth date is not understood; ISO 8601 is wanted, e.g. {}": "出生日期无法识别；须为ISO 8601格式，如{}",
    "the sex is not understood; M, F, O or empty is wanted": "性别无法识别；须为M、F、O或留空",
    "the time does not exist in the calendar": "时间不存在",
    "the time is not understood; ISO 8601 is wanted, e.g. {}": "时间无法识别；须为ISO 8601格式，如{}",
    "the year is out of range": "年份超出范围",
    "another Patient ID": "患者编号不同",
    "nothing but the Patient ID agrees; a birth date or sex must confirm it": "仅患者编号一致；须由出生日期或性别证实",
    "only one side names the issuer of the Patient ID; birth date and sex must then both confirm it": (
        "仅一方注明患者编号的签发机构；此时出生日期和性别均须证实"
    ),
    "the Patient ID agrees, the {} does not": "患者编号一致，{}不一致",
    "birth date": "出生日期",
    "sex": "性别",
    "the same Patient ID by another issuer": "患者编号相同，签发机构不同",
    "LOINC {} is not among the analytes that are used": "LOINC {}不在所用项目之列",
    "the code is not among the analytes that are used": "该代码不在所用项目之列",
    "the name is not among the analytes that are used": "该名称不在所用项目之列",
    "the row names no analyte": "该行未注明项目",
    "its LOINC code and its name are two analytes": "其LOINC代码与名称分属两个项目",
    "the specimen is another than that of the analyte": "标本与该项目的标本不符",
    "the site's table of codes cannot be used; only LOINC codes and known names are read": (
        "本院代码表无法使用；仅读取LOINC代码和已知名称"
    ),
    "it ends before it begins": "其上限小于下限",
    "used without its reference range ({})": "采用时未用其参考范围（{}）",
    "the kind is not known; there are: {}": "类型未知；可用：{}",
    "the status is not known; there are: final, preliminary, corrected, cancelled": (
        "状态未知；可用：final、preliminary、corrected、cancelled"
    ),
    "the report has no report_id": "报告无report_id",
    "the report has no text": "报告无文本",
    "a prior that is not from before the study": "既往报告的时间不早于本检查",
    "identity: {}": "身份：{}",
    "outside the window of {}": "超出时间窗：{}",
    "{} h before to {} h after the study": "检查前{}小时至检查后{}小时",
    "superseded by a later, final or corrected value, or withdrawn": "已被较晚、最终或更正的结果取代，或已撤回",
    "superseded by a later version of the same report": "已被同一报告的较晚版本取代",
    "the file is empty": "文件为空",
    "the file is empty or its first row cannot be parsed": "文件为空或首行无法解析",
    "the row cannot be parsed as CSV": "该行无法按CSV解析",
    "the row has {} cells, the header {}": "该行有{}个单元格，表头有{}个",
    "without a time": "无时间",
    "cannot be read": "无法读取",
    "cannot be read: {}": "无法读取：{}",
    "no row has the Patient ID of this study (files read: {})": "无任何行含本检查的患者编号（已读文件：{}）",
    "no such file or folder": "无此文件或文件夹",
    "the study has no Patient ID; no record can be joined": "本检查无患者编号；无法关联记录",
    "the study has no date and time; no record can be joined": "本检查无日期和时间；无法关联记录",
    "changed while it was read": "读取期间文件被更改",
    "longer than {} bytes": "超过{}字节",
    "not a .csv or .xlsx file (it is named *{})": "不是.csv或.xlsx文件（文件名为*{}）",
    "not a readable XLSX file ({})": "不是可读取的XLSX文件（{}）",
    "the text is neither UTF-8 nor GB18030; save it as CSV UTF-8": "文本既非UTF-8也非GB18030；请另存为CSV UTF-8",
    "not a readable gzip file": "不是可读取的GZIP压缩文件",
    "more than {n} names: the column does not name tests": "名称超过{}个：该列不是检验项目名称",
    "unpacks to more than 256 MiB": "解压后超过256 MiB",
    "a part of it unpacks to more than 200 times its size": "其中某部分解压后超过其大小的200倍",
    "a part of it is not as long as its directory says": "其中某部分的长度与其目录所载不符",
}

_HL7: Final = {
    "OBX-5 has no value, or several": "OBX-5无值或有多个值",
    "a later message that is less final than an earlier one": "该较晚消息的结果状态不及较早的结果确定",
    "it is not certain that it is the same person: {}": "不能确定为同一人：{}",
    "it replaces an earlier version of the same report, or withdraws it": "取代或撤回同一报告的较早版本",
    "replaced by a later message about the same observation": "已被关于同一结果的较晚消息取代",
    "a comment among laboratory values is no report": "检验结果中的备注不作为报告",
    "software asserted it (security label AIAST): it confirms nothing": "由软件断言（安全标签AIAST）：不能作为佐证",
    "the order of another study": "属于另一检查的申请",
    "the order says no reason (OBR-31, OBR-13)": "申请未注明检查理由（OBR-31、OBR-13）",
    "neither OBX-14 nor OBR-7 says when it was observed": "OBX-14和OBR-7均未注明结果时间",
    "the status (OBX-11) says that there is no result, or is not known": "状态（OBX-11）表明无结果，或状态未知",
    "the value type (OBX-2) is not one that is read; there are: NM, SN, ST, TX, FT": (
        "不读取该值类型（OBX-2）；可用：NM、SN、ST、TX、FT"
    ),
    "the value is a range or a ratio, not one number": "结果为范围或比值，并非单一数值",
    "LOINC of OBX-3 is not among the analytes that are used": "OBX-3的LOINC代码不在所用项目之列",
    "the code {} is neither LOINC (LN) nor in the site's table of codes": ("代码{}既非LOINC（LN），也不在本院代码表中"),
    "used without its reference range (OBX-7 is not of the form low-high, <high or >low)": (
        "采用时未用其参考范围（OBX-7不是“下限-上限”、“<上限”或“>下限”的形式）"
    ),
    "the site's table of codes cannot be used; only LOINC codes are read": "本院代码表无法使用；仅读取LOINC代码",
    "the file of HL7 messages cannot be read": "HL7消息文件无法读取",
    "no HL7 message has been received yet": "尚未收到HL7消息",
    "no HL7 message has the Patient ID of this study by the same issuer": "无任何HL7消息含同一机构签发的本检查患者编号",
    "the birth date (PID-7) does not exist in the calendar": "出生日期（PID-7）不存在",
    "the birth date (PID-7) is not understood; YYYYMMDD is wanted": "出生日期（PID-7）无法识别；须为YYYYMMDD格式",
    "the sex (PID-8) is not understood": "性别（PID-8）无法识别",
    "the time is not understood; YYYYMMDDHHMMSS with or without +ZZZZ is wanted": (
        "时间无法识别；须为YYYYMMDDHHMMSS格式，可带+ZZZZ"
    ),
}

_ATTRIBUTES: Final = {
    "Patient's Name": "患者姓名",
    "Patient ID": "患者编号",
    "Issuer of Patient ID": "患者编号签发机构",
    "Patient's Birth Date": "患者出生日期",
    "Patient's Birth Time": "患者出生时间",
    "Patient's Sex": "患者性别",
    "Patient's Age": "患者年龄",
    "Patient's Size": "患者身高",
    "Patient's Weight": "患者体重",
    "Other Patient Names": "患者其他姓名",
    "Ethnic Group": "民族",
    "Patient Comments": "患者备注",
    "Patient Identity Removed": "患者身份已去除标志",
    "De-identification Method": "去标识方法",
    "Study Instance UID": "检查实例UID",
    "Study Date": "检查日期",
    "Study Time": "检查时间",
    "Study ID": "检查ID",
    "Study Description": "检查描述",
    "Accession Number": "检查号",
    "Referring Physician's Name": "申请医师姓名",
    "Code Value": "代码值",
    "Coding Scheme Designator": "编码体系标识",
    "Coding Scheme Version": "编码体系版本",
    "Code Meaning": "代码含义",
    "Type of Patient ID": "患者编号类型",
}

RECORDS: Final[Mapping[str, str]] = MappingProxyType(_LABS | _RECORDS | _HL7 | _ATTRIBUTES)
"""English to Chinese."""
