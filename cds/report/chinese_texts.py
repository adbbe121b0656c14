"""The Chinese of every text that the code hands to a report in English.

``{}`` stands for what a run fills in, ``{n}`` for a number, ``{w}`` for one word.

A hole is filled with its own Chinese where it has one. `tests/house/test_chinese.py` finds the English texts
in the code and holds this table to them. Numbered holes (``{1}``) are those of the English, in its order.
"""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Final

from cds.report.chinese_records import RECORDS
from cds.report.chinese_risk import RISKS
from cds.report.chinese_sources import SOURCES
from cds.report.chinese_waveform import WAVEFORMS

_REPORT: Final = {
    "Decision support, unverified: a physician must review the images and this report.": (
        "本报告为辅助决策，未经确认：须由医师审阅图像及本报告。"
    ),
    "Trained on public data of few sites; see the model cards for what was measured and on whom.": (
        "模型由少数机构的公开数据训练；测量内容及对象见模型卡。"
    ),
    "The probability of {} was calibrated on {}; its interval covers what the models disagree on, not the"
    " uncertainty of what went in.": "{}的概率校准于：{}；其区间仅反映各模型之间的分歧，不含输入本身的不确定性。",
    "nothing: it is not calibrated": "无：未经校准",
    "simulated cohort {}: {} drawn cases, no real patients": "模拟队列{}：{}例抽样病例，无真实患者",
    "the validation split of a site's own cohort, {} cases": "本机构队列的验证集，{}例",
    "see {w}": "见{}",
    "no extractor is configured": "未配置相应模块",
    "{w} readable": "{}可读取",
    "measured on the images; no calibrated probability exists for it": "图像测量值，无经校准的概率",
    "seen on the image; no calibrated probability exists for it": "见于图像，无经校准的概率",
    "stated in a report text; not assessed on the images": "见于报告文本，未在图像上评估",
    "no observation of any modality bears on this finding": "各模态均无与此所见相关的观察",
    "not assessed on the images: from laboratory values only": "未在图像上评估：仅有检验结果",
    "naive Bayes over published likelihood ratios: the probability is not calibrated and has no interval": (
        "基于已发表似然比的朴素贝叶斯：概率未经校准，无区间"
    ),
    "{} was used although its gate {} was not passed ({})": "虽未通过检查“{1}”（{2}），仍采用了{0}",
    "{} gave no embedding, so the image was not used": "{}未给出图像特征，故未采用图像",
}

_EARLIER: Final = {
    "Earlier studies are compared by what the same algorithms measured in them; slice thickness, dose, contrast and"
    " inspiration may differ, and nobody has confirmed that a matched nodule is the same one.": (
        "与既往检查的比较依据同一算法的测量；层厚、剂量、对比剂及吸气程度可能不同，且无人确认所匹配的结节为同一结节。"
    ),
    "the earlier study could not be read: {}": "既往检查无法读取：{}",
    "The study was read with {n} of {n} instances: the others did not come.": (
        "本次检查共{1}幅，读取时仅到达{0}幅，其余未到达。"
    ),
    "Prior studies: not compared, or not all of them, because {}.": "既往检查：未比较或未全部比较，原因：{}。",
    "peer {} could not be asked for earlier studies": "无法向节点{}查询既往检查",
    "peer {} did not send an earlier study": "节点{}未发送既往检查",
    "an earlier study that came cannot be read": "收到的既往检查无法读取",
    "an earlier study under the same Patient ID was not used: {}": "同一患者编号下的一项既往检查未采用：{}",
    "earlier studies did not come within {n} s": "既往检查未在{}秒内到达",
    "no earlier study that could be compared is in the archives that were asked": "所查询的归档中无可比较的既往检查",
    "the study has no Patient ID or no date": "本次检查无患者编号或无日期",
    "the disk does not take earlier studies": "磁盘无法保存既往检查",
    "fetching them failed in the software": "软件获取既往检查失败",
    "one of them has no Patient ID": "其中之一无患者编号",
    "issuer of the Patient ID": "患者编号签发机构",
    "{w} differs": "{}不一致",
    "{w} differ": "{}不一致",
    "{} and {} differ": "{}和{}不一致",
    "{} and {} and {} differ": "{}、{}和{}不一致",
    "Patient ID differs": "患者编号不一致",
    "issuer of the Patient ID differs": "患者编号签发机构不一致",
    "birth date differs": "出生日期不一致",
    "sex differs": "性别不一致",
    "birth date and sex differ": "出生日期和性别不一致",
    "nothing but the Patient ID agrees": "仅患者编号一致",
    "only one of them names the issuer of the Patient ID, and birth date and sex do not both confirm it": (
        "仅一方注明患者编号签发机构，且出生日期与性别未能共同证实"
    ),
}

_SOURCE: Final = {
    "Value of {} of the source is longer than DICOM allows; cut.": "源图像的{}长于DICOM所允许，已截断。",
    "{} of the source has several values where DICOM allows one; the first is used.": (
        "源图像的{}有多个值，而DICOM只允许一个；采用第一个。"
    ),
    "Value of {} of the source is not written as DICOM asks; left out.": "源图像的{}不符合DICOM格式，未采用。",
    "Value of {} of the source is not written as DICOM asks; rewritten with the same meaning.": (
        "源图像的{}不符合DICOM格式，已按原意改写。"
    ),
    "Value of {} of the source breaks a rule of DICOM for its length or number of values; kept as it is,"
    " because archives match on it.": "源图像的{}违反DICOM关于长度或值数的规定；因归档系统据此匹配，原样保留。",
    "Value of {} of the source is longer than archives keep; left out, because a cut identifier could name"
    " another patient or order.": "源图像的{}长于归档系统所能保存；截断的标识可能指向他人或其他检查，故未采用。",
    "no earlier report: only the reason for the examination was read": "无既往报告：仅读取了检查原因",
    "The statements of the knowledge graph rest on sources about adults or sources that name no age; the patient is"
    " younger than 18 years, and they may not hold.": (
        "知识图谱的陈述依据成人文献或未注明年龄的文献；患者未满18岁，这些陈述可能不适用。"
    ),
    "The statements of the knowledge graph rest on sources about adults or sources that name no age; the patient's"
    " age is not known, and below 18 years they may not hold.": (
        "知识图谱的陈述依据成人文献或未注明年龄的文献；患者年龄未知，如未满18岁，这些陈述可能不适用。"
    ),
    "The Fleischner Society 2017 guideline for nodules holds from 35 years (doi:10.1148/radiol.2017161659, Table 1).": (
        "Fleischner学会2017年结节指南适用于35岁及以上者（doi:10.1148/radiol.2017161659，表1）。"
    ),
}

_XRAY: Final = {
    "The chest X-ray model was trained on frontal images of children of 1 to 5 years, of one hospital.": (
        "胸部X线模型由一家医院1至5岁儿童的正位片训练。"
    ),
    "It tells pneumonia from a normal chest only; it does not look for any other disease.": (
        "该模型仅区分肺炎与正常胸片，不检查其他疾病。"
    ),
    "Chest X-ray, {}: {}.": "胸部X线，{}：{}。",
    "the study has no chest radiograph (CR or DX)": "本检查无胸部X线片（CR或DX）",
    "no radiograph may be read ({}: {})": "无可读取的X线片（{}：{}）",
    "the image is unlike any chest radiograph of the training ({})": "该图像与训练所用胸片均不相似（{}）",
    "distance from the training images {}, limit 1": "与训练图像的距离为{}，上限为1",
    "outside the intended use: {}, {}": "超出适用范围：{}，{}",
    "{} other frontal image(s) of the study were not read": "本检查另有{}幅正位片未读取",
    "the chest X-ray model gave a number that is none": "胸部X线模型给出的结果不是有效数值",
    "modality": "设备类型",
    "body part": "检查部位",
    "view": "投照体位",
    "presentation": "图像用途",
    "display window": "显示窗",
    "age": "年龄",
    "image quality": "图像质量",
    "familiar image": "图像是否与训练图像相似",
    "{w} image": "{}图像",
    "an image For Processing, by its SOP Class": "按其SOP类为待处理图像（For Processing）",
    "not a CR or DX image, by its SOP Class": "按其SOP类不是CR或DX图像",
    "Body Part Examined is {}": "检查部位标注为{}",
    "not stated; the descriptions speak of another part": "未注明；描述指向其他部位",
    "not stated; the descriptions speak of a chest": "未注明；描述指向胸部",
    "not stated; taken for a chest as far as the image is familiar": "未注明；在图像与训练图像相似的前提下视为胸部",
    "the view is {}": "体位为{}",
    "the view is {}, not frontal": "体位为{}，非正位",
    "not stated; the series description speaks of another view": "未注明；序列描述指向其他体位",
    "not stated; taken for frontal": "未注明；视为正位",
    "Presentation Intent Type is FOR PROCESSING": "图像用途标注为待处理（FOR PROCESSING）",
    "it is a localizer": "为定位像",
    "for presentation": "供显示",
    "age unknown; the model was trained on children of 1 to 5 years": "年龄未知；模型由1至5岁儿童的图像训练",
    "within the 1 to 5 years of the children that the model was trained on": "在模型训练所用儿童的1至5岁范围内",
    "outside the 1 to 5 years of the children that the model was trained on": "在模型训练所用儿童的1至5岁范围之外",
    "{} x {} pixels are too few": "{} x {}像素过少",
    "the image is constant or has a few grey levels only": "图像灰度恒定或灰阶过少",
    "{} of the image is black or white": "图像的{}为全黑或全白",
    "plausible": "合理",
    "noise: {} of its energy is between neighbours": "噪声：相邻像素间的能量占{}",
    "{} of the windows of the image cannot be used; the first one that can is": (
        "图像的{}个窗无法使用；采用第一个可用的窗"
    ),
    "no window of the image can be used ({}); its whole range is used": "图像的窗均无法使用（{}）；采用其全部灰度范围",
    "Window Center or Width is no number": "窗位或窗宽不是数字",
    "Window Center or Width is missing": "缺少窗位或窗宽",
    "Window Width is too small": "窗宽过小",
    "the VOI LUT is broken": "VOI查找表损坏",
    "it hides most of the image": "会遮蔽图像的大部分",
    "image {} cannot be read: {}": "图像{}无法读取：{}",
    "image {} has no pixel data": "图像{}无像素数据",
    "image {} has Rows, Columns or Number of Frames that are no numbers": "图像{}的行数、列数或帧数不是数字",
    "image {} has {} frames; a radiograph has one": "图像{}有{}帧；X线片应为一帧",
    "image {} is {} x {} pixels; a radiograph has 1 to {}": "图像{}为{} x {}像素；X线片应为1至{}像素",
    "the pixels of image {} cannot be decoded: {}": "图像{}的像素无法解码：{}",
    "image file {} cannot be read: {}": "图像文件{}无法读取：{}",
    "image file {} has more than {} pixels": "图像文件{}超过{}像素",
}

_CT: Final = {
    "Nodules on chest CT are found by a classical algorithm that looks for solid and part-solid round spots of 4 to"
    " 35 mm; pure ground glass, endobronchial, mediastinal and flat pleural lesions are not looked for.": (
        "胸部CT结节由传统算法检出，仅查找4至35 mm的实性及部分实性类圆形病灶；"
        "不查找纯磨玻璃、支气管内、纵隔及扁平胸膜病变。"
    ),
    "The CT algorithm measures nodules; it gives them no probability of malignancy of its own.": (
        "CT算法仅测量结节，自身不给出恶性概率。"
    ),
    "Only the {} largest nodules are reported; there may be more.": "仅报告最大的{}个结节；可能还有更多。",
    "The CT does not cover the whole of the lungs: they are cut at the {}.": "CT未覆盖全肺：{}被截断。",
    "top": "上端",
    "bottom": "下端",
    "top and the bottom": "上端和下端",
    "The CT slices are {} mm thick; nodules below 6 mm may be missed and sizes are less certain than in thin slices"
    " (1.5 mm or less).": "CT层厚{} mm；可能漏检小于6 mm的结节，大小测量不如薄层（1.5 mm及以下）可靠。",
    "the study has no CT series": "本检查无CT序列",
    "no CT series may be read ({}: {})": "无可读取的CT序列（{}：{}）",
    "no CT series of the study can be read: series {}: {}": "本检查的CT序列均无法读取：序列{}：{}",
    "series {}: {}": "序列{}：{}",
    "no solid or part-solid nodule of {} mm or more was found": "未见{} mm及以上的实性或部分实性结节",
    "no calibrated probability exists for it": "无经校准的概率",
    "solid by its density ({} HU)": "按密度为实性（{} HU）",
    "part-solid by its density ({} HU)": "按密度为部分实性（{} HU）",
    "solid by its density ({} HU), attached to the pleura": "按密度为实性（{} HU），与胸膜相连",
    "part-solid by its density ({} HU), attached to the pleura": "按密度为部分实性（{} HU），与胸膜相连",
    "CT body part": "CT检查部位",
    "CT lungs": "CT肺部",
    "CT orientation": "CT方位",
    "CT resolution": "CT分辨率",
    "CT slices": "CT层数",
    "not stated": "未注明",
    "body part is {}": "检查部位为{}",
    "body part is {}, but the whole of both lungs is seen": "检查部位为{}，但可见双肺全部",
    "body part is {}; a CT of the whole chest is read": "检查部位为{}；仅读取全胸部CT",
    "no lungs were found in the series": "该序列中未找到肺",
    "right lung {} ml, left lung {} ml": "右肺{} ml，左肺{} ml",
    "right lung {} ml, left lung {} ml: one lung is missing or not aerated": (
        "右肺{} ml，左肺{} ml：一侧肺缺失或未充气"
    ),
    "slices are {} degrees from axial": "层面偏离轴位{}度",
    "voxels of {} x {} x {} mm": "体素为{} x {} x {} mm",
    "voxels of {} x {} x {} mm; at most {} x {} x {} mm are read": "体素为{} x {} x {} mm；最大读取{} x {} x {} mm",
    "{} slices are too few; {} or more are read": "{}层过少；至少需{}层",
    "{n} slices without a gap": "{}层，连续无间断",
    "Image Orientation (Patient) or Pixel Spacing is no valid geometry": "图像方向（患者）或像素间距不是有效几何信息",
    "a volume needs at least two slices, there are {}": "容积至少需两层，现有{}层",
    "the slices are unevenly spaced: distances from {} to {} mm, median {} mm": ("层间距不均：{}至{} mm，中位数{} mm"),
    "{} slices are missing: distances from {} to {} mm, median {} mm": "缺少{}层：层间距{}至{} mm，中位数{} mm",
    "the slices differ in Pixel Spacing": "各层像素间距不一致",
    "the slices differ in orientation": "各层方向不一致",
    "the slices differ in rows and columns": "各层行列数不一致",
    "the stack is sheared by {} degrees: a tilted gantry is not supported": "层叠倾斜{}度：不支持倾斜机架",
    "the gantry is tilted by {} degrees: a tilted gantry is not supported": "机架倾斜{}度：不支持倾斜机架",
    "{} slices lie at the position of another: more than one acquisition in the series": (
        "{}层与其他层位置重复：该序列含多次采集"
    ),
    "instance {} cannot be read": "实例{}无法读取",
    "instance {} has no Rescale Slope and Intercept: its values are not HU": "实例{}无重标斜率和截距：其值不是HU",
    "instance {} is multi-frame: Enhanced CT is not read, send the single-frame series": (
        "实例{}为多帧：不读取增强型多帧CT对象，请发送单帧序列"
    ),
    "instance {} is no greyscale image of 8 or 16 bits": "实例{}不是8位或16位灰度图像",
    "instance {} is rescaled to numbers that are not finite": "实例{}重标后的数值不是有限数",
    "instance {} is rescaled to {}, not to HU": "实例{}重标为{}，而非HU",
    "instance {} lacks Image Position, Image Orientation (Patient) or Pixel Spacing": (
        "实例{}缺少图像位置、图像方向（患者）或像素间距"
    ),
    "series {} holds nothing but localizers": "序列{}仅含定位像",
    "the pixels of instance {} cannot be decoded ({})": "实例{}的像素无法解码（{}）",
    "the pixels of instance {} do not have the shape that its header says": "实例{}的像素与其头信息所述尺寸不符",
}

_TEXT: Final = {
    "Report texts were read by word lists and rules, not understood; what a text says is its author's word.": (
        "报告文本由词表和规则读取，并非真正理解；文本所述为其作者之言。"
    ),
    "A text was longer than {} characters; only its beginning was read.": "有文本超过{}个字符；仅读取其开头部分。",
    "the case has no report and no reason for the examination": "无报告文本，也无检查原因",
    "no folder of a text encoder is configured": "未配置文本编码器的文件夹",
    "A text encoder of the site's own was used; its labels are not calibrated, and nothing is known here of its"
    " training.": "使用了本机构自有的文本编码器；其标签未经校准，其训练情况此处不详。",
    "A text was too long for the text encoder; only its beginning was read.": (
        "有文本超出文本编码器的长度；仅读取其开头部分。"
    ),
    "the encoder {w} gave NaN or infinity": "编码器{}给出了无效数值",
    "prior report": "既往报告",
    "said then: {}": "当时所述：{}",
    "said then on {}: {}": "{}当时所述：{}",
    "order": "申请单",
    "historical": "既往史",
    "asked for, not found": "为申请所问，并非所见",
    "said of: {}": "所述对象：{}",
    "change: {}": "变化：{}",
    "family": "家属",
    "other": "他人",
    "present": "存在",
    "absent": "未见",
    "uncertain": "不确定",
    "not_assessed": "未评估",
    "new": "新发",
    "increased": "增大",
    "decreased": "缩小",
    "stable": "稳定",
    "resolved": "消退",
}

_DOCUMENTS: Final = {
    "the document is larger than {} MiB": "文档大于{} MiB",
    "the file cannot be read": "文件无法读取",
    "the document is broken": "文档已损坏",
    "the document holds no text": "文档中无文字",
    "{} more documents of the study were not read": "该检查另有{}份文档未读取",
    "the CDA document is not well formed at line {}": "临床文档（CDA）第{}行格式错误",
    "the CDA document is not in the character set that it declares": "临床文档（CDA）与其声明的字符集不符",
    "the CDA document declares an unknown character set": "临床文档（CDA）声明了未知的字符集",
    "the CDA document declares a document type, which no CDA has": "临床文档（CDA）声明了文档类型，规范中不允许",
    "the document is no CDA document": "该文档不是临床文档（CDA）",
    "the document is no PDF": "该文档不是PDF",
    "the PDF takes too long to read": "PDF读取时间过长",
    "the PDF is broken or encrypted": "PDF已损坏或已加密",
    "the PDF takes too much time or memory to read": "PDF读取占用时间或内存过多",
}

TEXTS: Final[Mapping[str, str]] = MappingProxyType(
    _REPORT
    | _EARLIER
    | _SOURCE
    | _XRAY
    | _CT
    | _TEXT
    | _DOCUMENTS
    | dict(RECORDS)
    | dict(WAVEFORMS)
    | dict(RISKS)
    | dict(SOURCES)
)
"""English to Chinese."""
