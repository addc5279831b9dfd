"""A query and a text, read together, to one score: what orders the first finds of a search anew.

The encoder is MiniLM's; the vector of [CLS] goes through BERT's pooler and a classifier (Nogueira and Cho
2019, arXiv 1901.04085).  Nothing can be computed before the query is known, so this is for tens of texts,
not for millions.  Which weights and where from is the loader's and the catalog's part.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import groupby

import numpy as np
import torch
from torch import Tensor, nn

from minisearch.errors import InputError, ModelError
from minisearch.minilm.model import MiniLMModel
from minisearch.minilm.pretrained import Pretrained
from minisearch.minilm.settings import Activation, CheckpointSettings, MiniLMConfig
from minisearch.minilm.tokenizer import checked
from minisearch.types import FloatArray


class CrossEncoder(Pretrained):
    """How well texts answer a query; higher is better, on the checkpoint's own scale.

    >>> model = CrossEncoder.from_pretrained("ms-marco-MiniLM-L6-v2")  # doctest: +SKIP
    >>> texts = ["Clear the task to run it again.", "Bread needs salt."]
    >>> model.score("how do I retry a failed task", texts).argsort()[::-1]  # doctest: +SKIP
    array([0, 1])

    A score is a bare number ("identity") or lies between 0 and 1 ("sigmoid"), as ``activation`` says.
    ``max_length`` counts the tokens of query and text together, special ones included; what is longer is
    cut there, the longer of the two first, with a logged warning.
    """

    cure = "CrossEncoder.from_pretrained(name)"

    def __init__(
        self,
        config: MiniLMConfig | None = None,
        *,
        n_labels: int = 1,
        activation: Activation = "sigmoid",
        max_length: int = 512,
    ) -> None:
        super().__init__()
        self.model = MiniLMModel(config)
        config = self.model.config
        if not 5 <= max_length <= config.max_position_embeddings:  # [CLS] a [SEP] b [SEP]
            raise ModelError(f"max_length is {max_length}, expected 5 to {config.max_position_embeddings}")
        self.pooler = nn.Linear(config.hidden_size, config.hidden_size)
        self.dropout = nn.Dropout(config.hidden_dropout_prob)
        self.classifier = nn.Linear(config.hidden_size, n_labels)
        self.n_labels = n_labels
        self.activation: Activation = activation
        self.max_length = max_length
        self._compute_in("auto")

    @classmethod
    def _of(cls, name: str, settings: CheckpointSettings, max_length: int) -> CrossEncoder:
        if settings.n_labels is None:
            raise ModelError(
                f"{name} is no cross-encoder: its config.json has no BertForSequenceClassification. "
                f"Use SentenceTransformer.from_pretrained, or a checkpoint like ms-marco-MiniLM-L6-v2"
            )
        return cls(
            settings.config,
            n_labels=settings.n_labels,
            activation=settings.activation,
            max_length=max_length,
        )

    def forward(
        self,
        input_ids: Tensor,
        attention_mask: Tensor | None = None,
        token_type_ids: Tensor | None = None,
    ) -> Tensor:
        """Logits (B, n_labels), before the activation, of pairs (B, T); arguments as in `MiniLMModel`."""
        tokens = self.model(input_ids, attention_mask, token_type_ids)  # (B, T, D)
        logits: Tensor = self.classifier(self.dropout(self._pool(tokens)))
        return logits

    def score(self, query: str, texts: Sequence[str]) -> FloatArray:
        """One score a text (n,) float32, in the order of the texts; higher answers the query better.

        Raises InputError for what is no text, ModelError when the checkpoint has more than one label.
        """
        if not isinstance(query, str):
            raise InputError(f"expected one query, a text, got {type(query).__name__}")
        return self._scores([(query, text) for text in checked(texts)])

    def score_pairs(self, pairs: Sequence[tuple[str, str]]) -> FloatArray:
        """One score a pair (n,) float32, each pair a query and a text; errors as in `score`."""
        pairs = list(pairs)
        for position, pair in enumerate(pairs):
            if not (isinstance(pair, tuple | list) and [type(part) for part in pair] == [str, str]):
                raise InputError(f"expected pairs of texts, got {pair!r:.60} at position {position}")
        return self._scores(pairs)

    def _scores(self, pairs: Sequence[tuple[str, str]]) -> FloatArray:
        if self.n_labels != 1:
            raise ModelError(
                f"{self.name or 'this model'} has {self.n_labels} labels, expected 1 to score with: "
                f"call the model itself for the logits of each label"
            )
        scores = np.empty(len(pairs), np.float32)

        def keep(rows: list[int], tokens: Tensor) -> None:  # (G, T, D)
            logits = self.classifier(self._pool(tokens.float()))[:, 0]  # (G,)
            scores[rows] = (logits.sigmoid() if self.activation == "sigmoid" else logits).cpu().numpy()

        ids, segments = self._tokenized(pairs)
        self.inference.run(ids, keep, segments=segments)
        return scores

    def _tokenized(self, pairs: Sequence[tuple[str, str]]) -> tuple[list[list[int]], list[list[int]]]:
        """Ids and segments of each pair; a query that several pairs share in a row is read once."""
        tokenized = []
        for query, group in groupby(pairs, key=lambda pair: pair[0]):
            tokenized += self.tokenizer.pair_ids(query, [text for _, text in group])
        return [ids for ids, _ in tokenized], [segments for _, segments in tokenized]

    def _pool(self, tokens: Tensor) -> Tensor:  # (B, T, D) -> (B, D), the vector of [CLS]
        return torch.tanh(self.pooler(tokens[:, 0]))
