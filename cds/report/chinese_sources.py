"""The Chinese of what FHIR resources and SQL views cannot be used for; see `cds.report.chinese_texts`."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Final

_FHIR: Final = {
    "a presented form is not base64, or not in the character set that it names": (
        "报告附件的编码有误，或与其声明的字符集不符"
    ),
    "a presented form that is elsewhere (url) is not fetched": "不获取存放于他处（仅有链接）的报告附件",
    "a presented form that is neither text/plain nor text/html is not read": "仅读取纯文本和HTML格式的报告附件",
    "it has no value": "无结果值",
    "it has no value (dataAbsentReason: {})": "无结果值（缺失原因：{}）",
    "its LOINC codes are of different analytes": "其LOINC代码属于不同项目",
    "no FHIR resource has been received yet": "尚未收到FHIR资源",
    "no FHIR resource has the Patient ID of this study by the same issuer": (
        "无任何FHIR资源含同一机构签发的本检查患者编号"
    ),
    "no coding of it is LOINC or in the site's table of codes": "其代码既非LOINC，也不在本院代码表中",
    "no effective dateTime, Period or instant says when it was observed": "未注明结果时间",
    "replaced by a later version of the same result (its identifier)": "已被同一结果（标识相同）的较晚版本取代",
    "the birth date is not understood; a FHIR date is wanted": "出生日期无法识别；须为FHIR日期格式",
    "the comparator is not one that R4 has": "比较符不在FHIR R4规定之列",
    "the file of FHIR resources cannot be read": "FHIR资源文件无法读取",
    "the observation is about something else than its subject (focus)": "该结果所述对象并非患者本人",
    "the resource has a modifier extension or implicit rules, which may change what it says": (
        "该资源含修饰扩展或隐含规则，其含义可能因此改变"
    ),
    "the status says that there is no result to use (registered, unknown)": "状态表明无可用结果（仅登记或未知）",
    "the time is not understood; a FHIR dateTime is wanted, at least exact to the day": (
        "时间无法识别；须为FHIR日期时间格式，至少精确到日"
    ),
    "the value is not of a type that is read; there are: Quantity, string, integer": (
        "不读取该类型的结果值；可用：Quantity、string、integer"
    ),
}

_VALUES: Final = {
    "the value is not a number (decimal point, no thousands separator)": "结果不是数值（小数点用“.”，不用千位分隔符）",
    "the value is negative": "结果为负值",
    "the value is not a finite number": "结果不是有限数值",
    "a D-dimer in DDU is another quantity than one in FEU; only FEU is taken": (
        "以DDU表示的D-二聚体与以FEU表示的不是同一量；仅采用FEU"
    ),
    "the unit does not fit {}; accepted are: {}": "单位不适用于{}；可用：{}",
}
"""Of `cds.domain.labs`, which every source says."""

_SERVER: Final = {
    "the FHIR server could not be asked, what was fetched before is used: {}": (
        "未能查询FHIR服务器，采用此前已获取的内容：{}"
    ),
    "the FHIR server cannot be asked, a file that it takes is not usable; what was fetched before is used": (
        "无法查询FHIR服务器：所需文件不可用；采用此前已获取的内容"
    ),
    "what the FHIR server has cannot be kept now; what was fetched before is used": (
        "暂时无法保存FHIR服务器的内容；采用此前已获取的内容"
    ),
    "the FHIR server has more than could be fetched by now": "FHIR服务器尚有内容未及获取",
    "the FHIR server is being asked by another process": "另一进程正在查询FHIR服务器",
    "the server answers {n}": "服务器应答{}",
    "the server answers {n}: the token is not accepted (token_file)": "服务器应答{}：未接受令牌",
    "the server cannot be asked ({})": "无法查询服务器（{}）",
    "the server's answer is compressed, which was not asked for": "服务器的应答被压缩，与请求不符",
    "the server's answer is longer than {n} bytes": "服务器的应答超过{}字节",
    "the server's answer is no Bundle": "服务器的应答不是Bundle",
    "the server's answer is no JSON object": "服务器的应答不是JSON对象",
    "the server's answer is not JSON (application/fhir+json)": "服务器的应答不是JSON",
    "the server's answer was not whole in time": "服务器的应答未在限时内完成",
    "the server's link to the next page is no URL": "服务器给出的下一页链接无效",
    "the server's link to the next page leads to another host; it is not followed": (
        "服务器给出的下一页链接指向其他主机，未予访问"
    ),
    "the server's pages go round in a circle": "服务器的分页循环重复",
}

_SQL: Final = {
    "not read: {}": "未读取：{}",
    "the database cannot be asked, or has no such view ({})": "无法查询数据库，或数据库中无此视图（{}）",
    "the database takes too long": "数据库应答超时",
    "the view has no column {}": "视图中无列{}",
    "no row has the Patient ID of this study": "无任何行含本检查的患者编号",
}

SOURCES: Final[Mapping[str, str]] = MappingProxyType(_FHIR | _VALUES | _SERVER | _SQL)
"""English to Chinese."""
