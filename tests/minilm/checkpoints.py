"""Random checkpoints as Hugging Face writes them: what comes out is a folder and the model that was saved.

Freshly made BERT weights are tame: biases are zero, attention is flat and a layer adds next to nothing to
what goes through it, so that a lost bias or a wrong scale would hardly show.  Here every vector gets
noise, every matrix about keeps the size of what it multiplies, and queries and keys are large enough for
the largest weight of an attention row over hundreds of tokens to be about 0.4.
"""

from __future__ import annotations

from pathlib import Path

import torch
from tokenizers import Tokenizer, models, normalizers, pre_tokenizers, processors
from torch import Tensor, nn
from transformers import BertConfig, BertTokenizerFast, PreTrainedModel, PreTrainedTokenizerFast

NO_DROPOUT = {"hidden_dropout_prob": 0.0, "attention_probs_dropout_prob": 0.0}
MULTILINGUAL_VOCABULARY = 250_037


def save(
    folder: Path, kind: type[PreTrainedModel], tokenizer: PreTrainedTokenizerFast, **config
) -> nn.Module:
    """A random model of this kind, saved with its tokenizer; its attention is the plain formula."""
    torch.manual_seed(0)
    model = kind(BertConfig(**(NO_DROPOUT | config), attn_implementation="eager")).eval()
    with torch.no_grad():
        for name, parameter in model.named_parameters():
            if parameter.ndim == 1:
                parameter += 0.1 * torch.randn_like(parameter)
            elif "embeddings" not in name:
                gain = 2.0 if name.endswith(("query.weight", "key.weight")) else 0.7
                parameter.normal_(std=gain / parameter.shape[1] ** 0.5)
    model.save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    return model


def wordpiece(weights: Path) -> PreTrainedTokenizerFast:
    return BertTokenizerFast.from_pretrained(str(weights), local_files_only=True)


def sentencepiece(texts: list[str]) -> PreTrainedTokenizerFast:
    """A tokenizer of XLM-R's kind: Unigram, <s> and </s>, pieces that mark where a word begins."""
    characters = sorted(set("".join(texts)) | {"▁"})
    pieces = ["<s>", "<pad>", "</s>", "<unk>", "▁the", "▁task", "▁retry", "ing", "ed", *characters]
    tokenizer = Tokenizer(
        models.Unigram([(piece, -0.01 * rank) for rank, piece in enumerate(pieces)], unk_id=3)
    )
    tokenizer.normalizer = normalizers.NFKC()
    tokenizer.pre_tokenizer = pre_tokenizers.Metaspace()
    tokenizer.post_processor = processors.TemplateProcessing(
        single="<s> $A </s>",
        pair="<s> $A </s> </s> $B </s>",
        special_tokens=[("<s>", 0), ("</s>", 2)],
    )
    special = {"bos_token": "<s>", "cls_token": "<s>", "eos_token": "</s>", "sep_token": "</s>"}
    return PreTrainedTokenizerFast(
        tokenizer_object=tokenizer, pad_token="<pad>", unk_token="<unk>", model_max_length=512, **special
    )


def noisy_batch(lengths: list[int], vocab_size: int) -> tuple[Tensor, Tensor]:
    """Random ids (B, T) and their mask: texts of these lengths, and noise where there is padding."""
    mask = torch.arange(max(lengths)) < torch.tensor(lengths)[:, None]
    return torch.randint(0, vocab_size, mask.shape), mask.long()
