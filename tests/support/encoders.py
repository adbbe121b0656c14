"""Tiny text encoders with random weights, as `transformers` saves them; nothing is downloaded."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from pathlib import Path

import torch
from tokenizers import Tokenizer, normalizers, pre_tokenizers, processors
from tokenizers.models import WordPiece
from transformers import (
    BertConfig,
    BertForSequenceClassification,
    BertForTokenClassification,
    BertModel,
    PreTrainedTokenizerFast,
)

WORDS = "no pleural effusion consolidation in the right lower lobe . left pneumonia " + " ".join(
    "肺炎胸腔积液未见右下叶实变。"
)
SPECIAL = ("[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]")
HEADS = {"": BertModel, "text": BertForSequenceClassification, "token": BertForTokenClassification}


def encoder(
    folder: Path, *, head: str = "", labels: Mapping[int, str] | None = None, many: bool = False, length: int = 64
) -> str:
    """Write a BERT of 16 dimensions and its tokenizer into `folder`; the sha256 of its weights."""
    vocabulary = {word: number for number, word in enumerate((*SPECIAL, *WORDS.split()))}
    tokenizer = Tokenizer(WordPiece(vocabulary, unk_token="[UNK]"))
    tokenizer.normalizer = normalizers.BertNormalizer()
    tokenizer.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    tokenizer.post_processor = processors.TemplateProcessing(
        single="[CLS] $A [SEP]", special_tokens=[("[CLS]", 2), ("[SEP]", 3)]
    )
    names = dict(zip(("pad_token", "unk_token", "cls_token", "sep_token", "mask_token"), SPECIAL, strict=True))
    PreTrainedTokenizerFast(tokenizer_object=tokenizer, model_max_length=length, **names).save_pretrained(folder)
    torch.manual_seed(3)
    config = BertConfig(
        vocab_size=len(vocabulary), hidden_size=16, num_hidden_layers=1, num_attention_heads=2, intermediate_size=32,
        max_position_embeddings=length, id2label=dict(labels or {0: "O", 1: "pneumonia"}),
        problem_type="multi_label_classification" if many else None,
    )  # fmt: skip
    HEADS[head](config).save_pretrained(folder)
    return hashlib.sha256((folder / "model.safetensors").read_bytes()).hexdigest()
