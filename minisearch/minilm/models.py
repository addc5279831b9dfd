"""The models that users load: SentenceTransformer (texts to unit vectors), CrossEncoder (pairs to scores).

A sentence's vector is the mean of its token vectors, L2-normalised (Reimers and Gurevych 2019, arXiv
1908.10084).  A cross-encoder reads a query and a text together; the vector of [CLS] goes through BERT's
pooler and a classifier (Nogueira and Cho 2019, arXiv 1901.04085).  `loader` reads the weights, `inference`
computes token vectors.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace
from itertools import groupby
from typing import Any, Literal, overload

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional as F  # noqa: N812 - the usual name

from minisearch.errors import InputError, ModelError
from minisearch.manifest import Dtype
from minisearch.minilm.hub import locate
from minisearch.minilm.inference import Inference
from minisearch.minilm.loader import Pretrained
from minisearch.minilm.numpy_encoder import SentenceEncoder
from minisearch.minilm.settings import (
    POOLINGS,
    Activation,
    CheckpointSettings,
    MiniLMConfig,
    Pooling,
)
from minisearch.minilm.tokenizer import checked
from minisearch.minilm.transformer import MiniLMModel, pool
from minisearch.types import FloatArray, IntArray


class SentenceTransformer(SentenceEncoder, Pretrained):
    """Sentences to unit vectors.

    >>> model = SentenceTransformer.from_pretrained("all-MiniLM-L6-v2")  # doctest: +SKIP
    >>> model.encode(["How do I retry a failed task?"]).shape  # doctest: +SKIP
    (1, 384)

    ``max_length`` counts tokens including [CLS] and [SEP]; longer texts are cut, with a logged warning.
    Built directly, a model has random weights until `load_pretrained_weights` fills them.
    """

    def __init__(
        self,
        config: MiniLMConfig | None = None,
        *,
        num_hidden_layers: int | None = None,
        max_length: int = 256,
        pooling: Pooling = "mean",
    ) -> None:
        super().__init__()
        config = config or MiniLMConfig()
        if num_hidden_layers is not None:
            config = replace(config, num_hidden_layers=num_hidden_layers)
        if not 3 <= max_length <= config.max_position_embeddings:
            raise ModelError(f"max_length is {max_length}, expected 3 to {config.max_position_embeddings}")
        if pooling not in POOLINGS:
            raise ModelError(f"unknown pooling {pooling!r}: expected one of {', '.join(POOLINGS)}")
        self.model = MiniLMModel(config)
        self.settings = CheckpointSettings(config, pooling, max_length)
        self._compute_in("auto")

    @classmethod
    def _of(cls, name: str, settings: CheckpointSettings) -> SentenceTransformer:
        if settings.n_labels is not None:
            raise ModelError(f"{name} is a cross-encoder: use CrossEncoder.from_pretrained, or an embedder")
        return cls(settings.config, max_length=settings.max_length, pooling=settings.pooling)

    def _compute_in(self, dtype: Dtype) -> None:
        super()._compute_in(dtype)
        # With "auto", queries are computed in float32: a single query is hardly faster in bfloat16, which
        # changes scores by up to 0.002, and the NumPy encoder must give the same results.
        self._for_queries = Inference(self.model, "float32") if dtype == "auto" else self.inference

    def forward(self, input_ids: Tensor, attention_mask: Tensor | None = None) -> Tensor:
        """Unit vectors (B, D) of token ids (B, T); mask (B, T) as in `MiniLMModel`."""
        tokens = self.model(input_ids, attention_mask)  # (B, T, D)
        return F.normalize(pool(tokens, attention_mask, self.pooling), dim=1)

    @overload
    def encode(
        self,
        texts: Sequence[str],
        *,
        output: Literal["sentences"] = ...,
        normalize: bool = ...,
        prompt_name: str | None = ...,
        batch_tokens: int | None = ...,
        batch_size: int | None = ...,
        show_progress: bool = ...,
    ) -> FloatArray: ...
    @overload
    def encode(
        self,
        texts: Sequence[str],
        *,
        output: Literal["tokens"],
        normalize: bool = ...,
        prompt_name: str | None = ...,
        batch_tokens: int | None = ...,
        batch_size: int | None = ...,
        show_progress: bool = ...,
    ) -> list[FloatArray]: ...

    def encode(
        self,
        texts: Sequence[str],
        *,
        output: Literal["sentences", "tokens"] = "sentences",
        normalize: bool = True,
        prompt_name: str | None = None,
        batch_tokens: int | None = None,
        batch_size: int | None = None,
        show_progress: bool = False,
    ) -> FloatArray | list[FloatArray]:
        """Unit vectors (n, D) float32 of n texts, in their order.

        ``output="tokens"`` returns one array (T, D) for each text instead: the vectors of its tokens,
        including [CLS] and [SEP].  Without ``normalize``, vectors keep their length.  ``prompt_name`` is one
        of the checkpoint's ``prompts``, a prefix for each text.  Texts of similar length are computed
        together, in batches of at most ``batch_tokens`` tokens and ``batch_size`` texts.
        """
        if output not in {"sentences", "tokens"}:
            raise InputError(f"unknown output {output!r}: expected 'sentences' or 'tokens'")
        prompt = self.settings.default_prompt
        if prompt_name is not None:
            if prompt_name not in self.prompts:
                raise InputError(
                    f"unknown prompt_name '{prompt_name}': the prompts of {self.name} are: "
                    f"{', '.join(self.prompts) or 'none'}"
                )
            prompt = self.prompts[prompt_name]
        with _progress(show_progress) as on_texts:
            return self._encode(
                texts,
                prompt,
                self.inference,
                output=output,
                normalize=normalize,
                on_texts=on_texts,
                batch_tokens=batch_tokens,
                batch_size=batch_size,
            )

    def encode_query(self, texts: Sequence[str]) -> FloatArray:
        """As `encode`, with the checkpoint's prompt for queries, if any; "auto" means float32 here."""
        return self._encode(texts, self.settings.query_prompt, self._for_queries, kind="queries")

    def encode_document(self, texts: Sequence[str]) -> FloatArray:
        """As `encode`, with the checkpoint's prompt for documents, if any."""
        return self._encode(texts, self.settings.document_prompt, self.inference)

    def _encode(
        self,
        texts: Sequence[str],
        prompt: str,
        inference: Inference,
        *,
        kind: str = "texts",
        output: Literal["sentences", "tokens"] = "sentences",
        normalize: bool = True,
        on_texts: Callable[[int, int], object] = lambda *_: None,
        batch_tokens: int | None = None,
        batch_size: int | None = None,
    ) -> Any:  # noqa: ANN401 - FloatArray or list[FloatArray], as `encode` says
        """``on_texts`` is called with how many more texts are done, and how many there are."""
        ids = self.tokenizer.ids([prompt + text for text in checked(texts)], kind=kind)
        of_texts = np.empty((len(ids), self.dimension), np.float32)
        of_tokens = [of_texts[:0]] * len(ids)

        def keep(rows: list[int], tokens: Tensor) -> None:  # (G, T, D)
            vectors = pool(tokens.float(), None, self.pooling) if output == "sentences" else tokens.float()
            kept = (F.normalize(vectors, dim=-1) if normalize else vectors).cpu().numpy()
            if output == "sentences":
                of_texts[rows] = kept
            else:
                for row, text in zip(rows, kept, strict=True):
                    of_tokens[row] = text.copy()  # a slice would keep the whole batch in memory
            on_texts(len(rows), len(ids))

        inference.run(ids, keep, batch_tokens=batch_tokens, batch_size=batch_size)
        return of_texts if output == "sentences" else of_tokens

    def _embedded(self, ids: IntArray) -> FloatArray:
        with torch.inference_mode():
            rows = self.model.embeddings.token(torch.from_numpy(ids).to(self.model.device))  # (T, D)
            return np.asarray(rows.float().cpu())

    def similarity(self, a: FloatArray, b: FloatArray) -> FloatArray:
        """Cosine similarities (n, m) of vectors (n, D) and (m, D); InputError for other arrays."""
        for vectors in (a, b):
            if not isinstance(vectors, np.ndarray) or vectors.ndim != 2:
                raise InputError("expected two arrays of vectors, (n, D) and (m, D): encode the texts first")
        if a.shape[1] != b.shape[1]:
            raise InputError(f"cannot compare vectors of two models, {a.shape[1]} and {b.shape[1]} wide")
        units = [v / np.maximum(np.linalg.norm(v, axis=1, keepdims=True), 1e-12) for v in (a, b)]
        return (units[0] @ units[1].T).astype(np.float32)

    def with_architecture(self, config: MiniLMConfig) -> SentenceTransformer:
        """A model of another architecture: random weights; tokenizer, pooling, prompts, length of this one.

        It has no checkpoint, hence no fingerprint, until it is saved and loaded.
        """
        model = SentenceTransformer(config, max_length=self.max_length, pooling=self.pooling)
        model._tokenizer = self.tokenizer
        model.settings = replace(self.settings, config=config)
        return model.eval()

    @property
    def pooling(self) -> Pooling:
        """How token vectors become one vector."""
        return self.settings.pooling

    @property
    def prompts(self) -> Mapping[str, str]:
        """The checkpoint's prefixes for texts, by name."""
        return self.settings.prompts

    @property
    def max_length(self) -> int:
        """The length at which texts are cut, in tokens, including prompt and special tokens."""
        return self.settings.max_length

    @property
    def n_weight_bytes(self) -> int:
        """Memory of the weights, including their packed copies for `encode`."""
        return self.inference.n_bytes

    def _weights_sha256(self) -> str:
        if self.report is None:
            raise ModelError("this model has no weights yet, so its vectors have no fingerprint")
        return self.report.sha256


@contextmanager
def _progress(is_shown: bool) -> Iterator[Callable[[int, int], object]]:
    """A function that moves a progress bar, if one is shown: see `SentenceTransformer._encode`."""
    if not is_shown:
        yield lambda *_: None
        return
    from rich.console import Console
    from rich.progress import Progress

    console = Console(stderr=True)
    with Progress(console=console, transient=True, disable=not console.is_terminal) as bar:
        task = bar.add_task("Encoding", total=None)
        yield lambda n_more, n: bar.update(task, advance=n_more, total=n)


def load_pretrained_weights(
    model: SentenceTransformer, model_name: str, *, offline: bool = False
) -> SentenceTransformer:
    """Load a checkpoint's weights and tokenizer into a model built by hand; returns it in eval mode.

    The model keeps its own ``max_length`` and pooling; ``model.report`` says what was loaded.  Raises
    ModelError for a checkpoint of another architecture, with the first difference.
    """
    located = locate(model_name, offline=offline)
    settings = located.settings
    ours, theirs = model.model.config, settings.config
    for name in ("num_attention_heads", "layer_norm_eps"):  # not visible in the shape of any tensor
        if getattr(ours, name) != getattr(theirs, name):
            raise ModelError(
                f"{located.name} is of another architecture: its {name} is {getattr(theirs, name)}, "
                f"the model's {getattr(ours, name)}"
            )
    model._load(located, replace(settings, config=ours, pooling=model.pooling, max_length=model.max_length))
    return model.eval()


class CrossEncoder(Pretrained):
    """How well texts answer a query; higher is better, on the checkpoint's own scale.

    >>> model = CrossEncoder.from_pretrained("ms-marco-MiniLM-L6-v2")  # doctest: +SKIP
    >>> texts = ["Clear the task to run it again.", "Bread needs salt."]
    >>> model.score("how do I retry a failed task", texts).argsort()[::-1]  # doctest: +SKIP
    array([0, 1])

    ``activation`` is "identity" (any number) or "sigmoid" (0 to 1).  ``labels`` are the names of the outputs,
    as transformers' ``id2label`` has them.  ``max_length`` counts the tokens of
    query and text together, including special ones; the longer of the two is cut first, with a logged
    warning.  Nothing can be computed before the query is known, so use it for tens of texts, not millions.
    """

    def __init__(
        self,
        config: MiniLMConfig | None = None,
        *,
        n_labels: int = 1,
        labels: Sequence[str] = (),
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
        self.labels = tuple(labels) or tuple(f"LABEL_{number}" for number in range(n_labels))
        self.activation: Activation = activation
        self.max_length = max_length
        self._compute_in("auto")

    @classmethod
    def _of(cls, name: str, settings: CheckpointSettings) -> CrossEncoder:
        if settings.n_labels is None:
            raise ModelError(
                f"{name} is no cross-encoder: its config.json has no BertForSequenceClassification. "
                f"Use SentenceTransformer.from_pretrained, or a checkpoint like ms-marco-MiniLM-L6-v2"
            )
        return cls(
            settings.config,
            n_labels=settings.n_labels,
            labels=settings.labels,
            activation=settings.activation,
            max_length=settings.max_length,
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
        """One score for each text (n,) float32, in the order of the texts.

        Raises InputError for anything but texts, ModelError if the checkpoint has more than one label.
        """
        if not isinstance(query, str):
            raise InputError(f"expected one query, a text, got {type(query).__name__}")
        return self._scores([(query, text) for text in checked(texts)])

    def score_pairs(self, pairs: Sequence[tuple[str, str]]) -> FloatArray:
        """One score for each pair of query and text (n,) float32; errors as in `score`."""
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

        tokenized: list[tuple[list[int], list[int]]] = []
        for query, group in groupby(pairs, key=lambda pair: pair[0]):  # tokenise a repeated query once
            tokenized += self.tokenizer.pair_ids(query, [text for _, text in group])
        self.inference.run(
            [ids for ids, _ in tokenized], keep, segments=[segments for _, segments in tokenized]
        )
        return scores

    def _pool(self, tokens: Tensor) -> Tensor:  # (B, T, D) -> (B, D), from the vector of [CLS]
        return torch.tanh(self.pooler(tokens[:, 0]))
