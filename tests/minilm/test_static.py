"""Static models: the vectors of sentence-transformers and model2vec, in an index too, or one clear error."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from safetensors.numpy import load_file, save_file
from sentence_transformers import SentenceTransformer as Original
from sentence_transformers.sentence_transformer.modules import StaticEmbedding
from tokenizers import Tokenizer, models, pre_tokenizers

from minisearch.errors import InputError, ModelError
from minisearch.minilm import MiniLMTokenizer, SentenceTransformer, StaticEncoder, static
from minisearch.minilm.encoders import Encoders
from minisearch.minilm.saving import save_pretrained
from minisearch.minilm.static import WordIds
from minisearch.minilm.tokenizer import LoadedTokenizer
from tests.cli.usage import run
from tests.minilm.checkpoints import sentencepiece
from tests.minilm.texts import varied_texts

DOCS = Path(__file__).parents[2] / "data" / "docs"
WORDS = ["[UNK]", "roof", "leaks", "bread"]
TABLE = np.array([[9, 9, 9], [3, 0, 0], [0, 4, 0], [0, 0, 5]], np.float32)


def word_tokenizer() -> Tokenizer:
    tokenizer = Tokenizer(models.WordLevel({word: i for i, word in enumerate(WORDS)}, unk_token="[UNK]"))
    tokenizer.pre_tokenizer = pre_tokenizers.Whitespace()
    return tokenizer


@pytest.fixture
def small(tmp_path: Path) -> Path:
    """Four tokens, as model2vec saves them, without modules.json."""
    folder = tmp_path / "small"
    folder.mkdir()
    save_file({"embeddings": TABLE}, folder / "model.safetensors")
    word_tokenizer().save(str(folder / "tokenizer.json"))
    (folder / "config.json").write_text('{"model_type": "model2vec", "normalize": true}')
    return folder


@pytest.fixture(scope="module")
def tokenizer(weights: Path) -> LoadedTokenizer:
    return LoadedTokenizer(weights)


def random_table(n: int, width: int = 16) -> np.ndarray:
    return np.random.default_rng(0).standard_normal((n, width)).astype(np.float32)


@pytest.fixture(scope="module")
def random_model(tmp_path_factory: pytest.TempPathFactory, tokenizer: LoadedTokenizer) -> Path:
    """A folder that we saved, with BERT's vocabulary."""
    folder = tmp_path_factory.mktemp("static") / "model"
    table = random_table(tokenizer.vocab_size)
    table[tokenizer.unknown_ids] = 0  # model2vec leaves them out
    save_pretrained(StaticEncoder(table, tokenizer), folder)
    return folder


def least_cosine(ours: np.ndarray, theirs: np.ndarray) -> float:
    """Of unit vectors; theirs are zero for texts without tokens, which are left out."""
    assert ours.dtype == np.float32
    assert np.linalg.norm(ours, axis=1) == pytest.approx(1, abs=1e-5)
    theirs = theirs.astype(np.float32)
    has_tokens = theirs.any(axis=1)
    assert has_tokens.sum() > 0.9 * len(theirs) or len(theirs) < 10
    units = theirs[has_tokens] / np.linalg.norm(theirs[has_tokens], axis=1, keepdims=True)
    return float((ours[has_tokens] * units).sum(axis=1).min())


# --- vectors ---------------------------------------------------------------------------------------------


def test_a_vector_is_the_mean_of_the_tokens_of_length_1(small: Path) -> None:
    encoder = StaticEncoder.from_pretrained(str(small))
    found = encoder.encode(["roof", "roof leaks", "bread\troof roof\nleaks", "roof nothing"])
    expected = [[1, 0, 0], [0.6, 0.8, 0], [6 / 77**0.5, 4 / 77**0.5, 5 / 77**0.5], [1, 0, 0]]
    assert found == pytest.approx(np.array(expected))
    assert (encoder.dimension, encoder.name) == (3, str(small))
    assert encoder.encode([]).shape == (0, 3)


def test_a_text_without_known_tokens_has_a_vector_but_no_words(small: Path) -> None:
    encoder = StaticEncoder.from_pretrained(str(small))
    assert encoder.encode_document(["", "nothing"]).tolist() == [[0, 0, 1], [0, 0, 1]]
    assert encoder.word_vectors(["", "nothing"]).tolist() == [[0, 0, 0], [0, 0, 0]]
    assert encoder.tokenizer.unknown_share("nothing roof") == 0.5
    with pytest.raises(InputError, match="expected a list of texts, got one str"):
        encoder.encode("roof")


def test_a_long_text_is_not_cut(small: Path) -> None:
    (vector,) = StaticEncoder.from_pretrained(str(small)).encode(["roof " * 3_000 + "leaks " * 3_000])
    assert vector == pytest.approx([0.6, 0.8, 0], abs=1e-5)


def test_what_we_save_has_equal_vectors_everywhere(random_model: Path) -> None:
    model2vec = pytest.importorskip("model2vec")
    texts = varied_texts()
    ours = StaticEncoder.from_pretrained(str(random_model)).encode(texts)
    theirs = Original(str(random_model), device="cpu", local_files_only=True).encode(texts)
    assert least_cosine(ours, theirs) >= 0.99999
    static_model = model2vec.StaticModel.from_pretrained(random_model, force_download=False)
    assert least_cosine(ours, static_model.encode(texts)) >= 0.99999


@pytest.mark.parametrize("kind", ["float32", "float16", "int8", "mapping and weights", "subfolder"])
def test_what_the_libraries_save_has_their_vectors(tmp_path: Path, tokenizer, kind: str) -> None:
    texts, table = varied_texts(), random_table(tokenizer.vocab_size)
    if kind == "subfolder":  # where sentence-transformers saved it at first
        Original(modules=[StaticEmbedding(tokenizer._tokenizer, table)], device="cpu").save(
            str(tmp_path / "a")
        )
        (tmp_path / "a" / "0_StaticEmbedding").mkdir()
        for name in ("model.safetensors", "tokenizer.json"):
            (tmp_path / "a" / name).rename(tmp_path / "a" / "0_StaticEmbedding" / name)
        modules = json.loads((tmp_path / "a" / "modules.json").read_text())
        (tmp_path / "a" / "modules.json").write_text(json.dumps([modules[0] | {"path": "0_StaticEmbedding"}]))
        theirs = Original(str(tmp_path / "a"), device="cpu", local_files_only=True).encode(texts)
    else:
        model2vec = pytest.importorskip("model2vec")
        more: dict[str, Any] = {}
        if kind == "mapping and weights":
            generator = np.random.default_rng(1)
            more["token_mapping"] = generator.integers(0, 500, len(table))
            more["weights"], table = generator.random(len(table)), table[:500]
        elif kind == "int8":
            table = np.rint(table * 30).clip(-127, 127)
        model = model2vec.StaticModel(
            table.astype("float32" if more else kind), tokenizer._tokenizer, max_length=None, **more
        )
        model.save_pretrained(tmp_path / "a")
        theirs = model.encode(texts)
    assert least_cosine(StaticEncoder.from_pretrained(str(tmp_path / "a")).encode(texts), theirs) >= 0.99999


# --- words whose ids are kept ----------------------------------------------------------------------------

ALPHABET = st.sampled_from([*"ab.,'-_ß速éſİ", "e\u0301", "\x0c", "\x1c", "\x85", "\xa0", "\u2028", "\u3000"])
SPACED = st.lists(st.one_of(ALPHABET, st.sampled_from([" ", "\n", "\t", "\r", "[SEP]", "fi", "\u200b"])))


@given(st.lists(SPACED.map("".join), max_size=4))
def test_the_ids_are_the_tokenizers(texts: list[str]) -> None:
    tokenizer = MiniLMTokenizer(max_length=64, offline=True)
    assert tokenizer.splits_at_spaces
    expected = [list(one.ids) for one in tokenizer._tokenizer.encode_batch(texts, add_special_tokens=False)]
    word_ids = WordIds(tokenizer)
    assert word_ids(texts) == word_ids(texts) == expected


def test_a_tokenizer_that_looks_beyond_spaces_gets_whole_texts(tmp_path: Path) -> None:
    sentencepiece(varied_texts()).save_pretrained(tmp_path)
    tokenizer = LoadedTokenizer(tmp_path)
    assert not tokenizer.splits_at_spaces
    expected = [
        list(one.ids) for one in tokenizer._tokenizer.encode_batch(varied_texts(), add_special_tokens=False)
    ]
    assert WordIds(tokenizer)(varied_texts()) == expected


def test_kept_words_do_not_fill_the_memory(small: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(static, "MAX_KEPT_CHARACTERS", 10)
    word_ids = WordIds(LoadedTokenizer(small))
    for i in range(20):
        assert word_ids([f"roof {i}-leaks"])[0] == [1, 0, 0, 2]
    assert len(word_ids._ids) <= 4


# --- in an index -----------------------------------------------------------------------------------------


def test_an_index_of_a_static_model_is_searched_without_torch(
    tmp_path: Path, random_model: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "my-static").symlink_to(random_model)
    notes = tmp_path / "notes"
    notes.mkdir()
    (notes / "roof.md").write_text("# Roof\n\nThe garden is green.\n\nThe roof leaks when rain falls.\n")
    (notes / "bread.md").write_text("# Bread\n\nThe dough needs salt. Let it rise for a night.\n")
    run("index", "--model", "./my-static", "notes")
    code = "from minisearch.cli import cli; cli({!r}, standalone_mode=False)"
    report = "; import sys; assert not {{'torch', 'transformers'}} & sys.modules.keys(), 'torch is loaded'"
    for arguments in (
        ["index", "notes"],
        ["query", "the roof leaks", "--mode", "dense", "--json"],
        ["status"],
    ):
        done = subprocess.run(
            [sys.executable, "-c", (code + report).format(arguments)],
            capture_output=True,
            text=True,
            cwd=tmp_path,
            env={"PYTHONPATH": str(DOCS.parents[1]), "PATH": "", "HOME": str(tmp_path)},
        )
        assert (done.returncode, done.stderr.replace("\r", "")[-300:]) == (0, done.stderr[-300:])
        if arguments[0] == "query":
            best = json.loads(done.stdout.splitlines()[0])
            assert best["path"].endswith("roof.md")
            assert best["evidence"]["text"] == "The roof leaks when rain falls."
        if arguments[0] == "status":
            assert "static" in done.stdout or "model" in done.stdout
    run("verify")


def test_a_static_model_has_one_encoder(small: Path) -> None:
    encoders = Encoders(given=None, model=str(small))
    encoder = encoders.to_query("", "roof")
    assert isinstance(encoder, StaticEncoder)
    assert encoders.to_index("") is encoders.to_add("", 10**6) is encoder
    assert isinstance(encoders.of_a_new_process().to_query("", "roof"), StaticEncoder)


def test_the_fingerprint_covers_table_and_tokenizer(small: Path) -> None:
    first = StaticEncoder.from_pretrained(str(small)).fingerprint
    assert StaticEncoder.from_pretrained(str(small)).fingerprint == first
    save_file({"embedding.weight": TABLE}, small / "model.safetensors")
    other = StaticEncoder.from_pretrained(str(small))
    assert other.fingerprint != first
    assert other.encode(["nothing"])[0] == pytest.approx([3**-0.5] * 3), "sentence-transformers keeps [UNK]"
    with pytest.raises(ModelError, match="not loaded from a folder, so its vectors have no fingerprint"):
        _ = StaticEncoder(TABLE, other.tokenizer).fingerprint


def test_models_show_describes_it(small: Path) -> None:
    shown = run("models", "show", str(small)).stdout
    for said in ("none: a static model, 3 wide", "4 tokens", "parameters  12\n"):
        assert said in shown
    found = json.loads(run("models", "show", str(small), "--json").stdout)
    assert found["settings"] == {"kind": "static", "vocab_size": 4, "dimension": 3}
    assert found["report"]["n_parameters"] == 12


# --- errors ----------------------------------------------------------------------------------------------


def damaged_weights(folder: Path) -> None:
    content = (folder / "model.safetensors").read_bytes()
    (folder / "model.safetensors").write_bytes(content[: len(content) // 2])


def with_tensors(**tensors: np.ndarray) -> Callable[[Path], None]:
    return lambda folder: save_file(tensors, folder / "model.safetensors")


def with_modules(*names: str) -> Callable[[Path], None]:
    rows = [{"type": f"a.{name}", "path": ""} for name in names]
    return lambda folder: (folder / "modules.json").write_text(json.dumps(rows)) and None


def elsewhere(folder: Path) -> None:
    (folder / "modules.json").write_text('[{"type": "StaticEmbedding", "path": ".."}]')
    for name in ("model.safetensors", "tokenizer.json"):
        (folder / name).rename(folder.parent / name)


def with_prompts(folder: Path) -> None:
    (folder / "config_sentence_transformers.json").write_text('{"prompts": {"query": "query: "}}')


NOT_FINITE = np.where(TABLE == 5, np.nan, TABLE).astype(np.float32)


@pytest.mark.parametrize(
    ("damage", "message"),
    [
        (damaged_weights, r"model.safetensors is damaged or not a safetensors file"),
        (lambda folder: (folder / "tokenizer.json").unlink(), r"no usable tokenizer at .*tokenizer.json"),
        (lambda folder: (folder / "model.safetensors").unlink(), r"no model.safetensors in"),
        (with_tensors(other=TABLE), r"its tensors are other, expected one of embedding.weight, embeddings"),
        (with_tensors(embeddings=TABLE[0]), r"embeddings is float32 of shape \(3,\), expected a table"),
        (with_tensors(embeddings=TABLE.astype(np.int32)), r"embeddings is int32 of shape \(4, 3\)"),
        (
            with_tensors(embeddings=TABLE[:2]),
            r"its vocabulary has 4 tokens, expected at most 2",
        ),
        (with_tensors(embeddings=TABLE, weights=TABLE[0]), r"weights has shape \(3,\), expected \(4,\)"),
        (with_tensors(embeddings=TABLE, mapping=np.arange(9)), r"mapping does not name rows of embeddings"),
        (with_tensors(embeddings=NOT_FINITE), r"embeddings holds values that are no numbers"),
        (with_modules("StaticEmbedding", "Dense"), r"its modules are \['StaticEmbedding', 'Dense'\]"),
        (lambda folder: (folder / "modules.json").write_text("{"), r"cannot read .*modules.json"),
        (elsewhere, r"StaticEmbedding is in .*small/\.\., expected in .*small"),
        (with_prompts, r"prompts is .*expected none for a static model"),
    ],
)
def test_a_damaged_folder_is_one_clear_error(small: Path, damage, message: str) -> None:
    damage(small)
    with pytest.raises(ModelError, match=message):
        StaticEncoder.from_pretrained(str(small))


def test_a_static_model_is_no_other_kind(small: Path, tiny: Path) -> None:
    with pytest.raises(
        ModelError, match="small holds a static model, one vector for each token: expected a BERT"
    ):
        SentenceTransformer.from_pretrained(str(small))
    with pytest.raises(ModelError, match="holds no static model: use SentenceTransformer"):
        StaticEncoder.from_pretrained(str(tiny))


def test_the_table_is_saved_in_float32(random_model: Path, tokenizer: LoadedTokenizer) -> None:
    tensors = load_file(random_model / "model.safetensors")
    assert {name: (one.dtype, one.shape) for name, one in tensors.items()} == {
        "embeddings": (np.float32, (tokenizer.vocab_size, 16))
    }
