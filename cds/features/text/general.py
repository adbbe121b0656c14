"""Clinical terms beyond the thorax: from `data/general.toml`, and by how medical words are built.

They are read like findings and shown, and are no evidence: the extractor leaves them out.
"""

from __future__ import annotations

import re
import tomllib
from collections.abc import Iterator, Mapping
from functools import cache
from importlib.resources import files
from types import MappingProxyType
from typing import Final

from cds.domain.code import Code

FILE: Final = "general"
TERM: Final = "clinical_term"
"""A medical word that no list names."""
ELSEWHERE: Final[Mapping[str, str]] = MappingProxyType(
    {"lung_nodule": "nodule_elsewhere", "lung_mass": "mass_elsewhere"}
)
"""What a finding of the lung is in another organ; any other is a lesion."""
LESION: Final = "lesion"

_ENGLISH: Final = re.compile(
    r"(?<![a-z])(?!(?:dia|pro|thera|analy|hypno)|metamorph|sym[a-z]|anastom|apo|mit|gluc|halit)[a-z]{3,}"
    r"(?:itis|osis|oses|a?emia|uria|algia|opathy|opathies|[a-z]{2}omas?|megaly|rrhea|rrhage|plegia|paresis|penia|sclerosis"
    r"|stenosis|ectasia|ectasis|phagia|dynia|trophy|plasia|malacia|cele|iasis)(?![a-z])"
)
_NOT: Final = frozenset(
    ("symptoma", "idioma", "physiotherapy", "aroma", "diploma", "osmosis", "coma", "stroma", "chroma")
)
_ORGAN: Final = (
    "脑|颅内|头皮|眼|耳|鼻|咽|喉|扁桃体|甲状腺|甲状旁腺|乳腺|乳房|食管|胃|十二指肠|空肠|回肠|结肠|直肠|盲肠|阑尾|小肠|大肠|肠|肛门|肛周"
    "|肝脏|肝|胆囊|胆管|胆总管|胆道|胰腺|胰头|胰|脾脏|脾|肾脏|肾|肾上腺|输尿管|膀胱|尿道|前列腺|睾丸|附睾|精囊|子宫|宫颈|子宫内膜|卵巢|附件"
    "|盆腔|腹腔|腹部|腹壁|腹膜|皮肤|皮下|软组织|肌肉|肌腱|韧带|关节|膝关节|髋关节|踝关节|肩关节|腕关节|滑膜|脊柱|颈椎|胸椎|腰椎|骶椎|椎体"
    "|椎间盘|股骨|股骨颈|股骨头|胫骨|腓骨|髌骨|肱骨|桡骨|尺骨|锁骨|骨盆|髂骨|颅骨|下颌骨|跟骨|骨|动脉|静脉|血管|下肢|上肢|双下肢|心肌|心脏|瓣膜"
    "|淋巴结|腮腺|口腔|牙龈|舌|唇|食道|主动脉|颈动脉|门静脉|额叶|颞叶|枕叶|顶叶|小脑|脑干|基底节区?|垂体|听神经"
)
_TROUBLE: Final = (
    "癌|炎|瘤|结石|囊肿|出血|梗死|梗塞|破裂|穿孔|脓肿|肿大|积水|积液|积气|狭窄|损伤|骨折|脱位|转移瘤?|息肉|溃疡|硬化|萎缩|增生|增大|增厚|血栓"
    "|功能不全|功能减退|功能亢进|功能异常|衰竭|感染|疼痛|痛|水肿|结节|占位|肿块|肿瘤|钙化|扩张|肥大|畸形|麻木|无力|坏死|变性|退变|栓塞|闭塞"
    "|撕裂|粘连|梗阻|瘘|疝|脱垂|下垂|偏曲|异物|结核|包块|血肿|挫伤|裂伤|缺血|软化灶|变窄|突出|膨出|滑脱|侧弯|不稳"
)
_CHINESE: Final = re.compile(rf"(?:{_ORGAN})(?:{_TROUBLE})")


@cache
def codes() -> Mapping[str, Code]:
    """The code of every general concept by key: SNOMED CT where the file has one, else private."""
    with files(__package__).joinpath("data", f"{FILE}.toml").open("rb") as file:
        tables = tomllib.load(file)
    made = {key: _code(key, table) for key, table in tables.items()}
    return MappingProxyType({**made, TERM: Code(TERM, "99CDS", "Clinical term", "临床术语")})


def _code(key: str, table: Mapping[str, object]) -> Code:
    public = str(table.get("code", ""))
    value, scheme = (public, "SCT") if public else (key[:16], "99CDS")
    return Code(value, scheme, str(table["name"]), str(table["zh_name"]))


def built(text: str) -> Iterator[tuple[int, int]]:
    """Start and end of every word of the folded text that is built like a disease: -itis, -emia, 肝＋肿大."""
    for match in _ENGLISH.finditer(text):
        if match.group() not in _NOT:
            yield match.span()
    for match in _CHINESE.finditer(text):
        yield match.span()
