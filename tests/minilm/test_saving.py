"""A saved model is loaded by us and by sentence-transformers, with the vectors that it had."""

from __future__ import annotations

import errno
import os
from pathlib import Path

import numpy as np
import pytest
import torch
from sentence_transformers import CrossEncoder as OriginalCross
from sentence_transformers import SentenceTransformer as Original

from minisearch.errors import InputError, ModelError
from minisearch.minilm import CrossEncoder, MiniLMConfig, SentenceTransformer, saving
from minisearch.minilm.encoders import NumpyEncoder
from minisearch.minilm.saving import save_pretrained
from minisearch.minilm.settings import Activation
from tests.minilm.checkpoints import save, sentencepiece, wordpiece
from tests.minilm.texts import varied_texts


def assert_loads_everywhere(model: SentenceTransformer, folder: Path, texts: list[str]) -> None:
    save_pretrained(model, folder)
    expected = model.encode(texts)
    ours = SentenceTransformer.from_pretrained(str(folder), device="cpu", dtype="float32")
    assert np.abs(ours.encode(texts) - expected).max() < 1e-6
    theirs = Original(str(folder), device="cpu", local_files_only=True).encode(texts)
    assert (theirs * expected).sum(1).min() >= 0.99999
    assert np.linalg.norm(theirs, axis=1) == pytest.approx(1, abs=1e-5)
    assert NumpyEncoder.from_pretrained(str(folder)).fingerprint == ours.fingerprint


def smaller(minilm: SentenceTransformer) -> SentenceTransformer:
    torch.manual_seed(0)
    sizes = {"hidden_size": 24, "num_hidden_layers": 1, "num_attention_heads": 4, "intermediate_size": 48}
    model = minilm.with_architecture(MiniLMConfig(**sizes))
    model._compute_in("float32")
    return model


def test_a_saved_model_has_equal_vectors_here_and_in_sentence_transformers(
    minilm: SentenceTransformer, tmp_path: Path
) -> None:
    assert_loads_everywhere(minilm, tmp_path / "whole", varied_texts()[::4])
    assert_loads_everywhere(smaller(minilm), tmp_path / "small", varied_texts())


@pytest.mark.parametrize("activation", ["identity", "sigmoid"])
def test_a_saved_reranker_has_equal_scores_here_and_in_sentence_transformers(
    minilm: SentenceTransformer, tmp_path: Path, activation: Activation
) -> None:
    torch.manual_seed(0)
    sizes = {"hidden_size": 24, "num_hidden_layers": 1, "num_attention_heads": 4, "intermediate_size": 48}
    model = CrossEncoder(MiniLMConfig(**sizes), activation=activation, max_length=64).eval()
    model._tokenizer = minilm.tokenizer.cut_at(64)
    model._compute_in("float32")
    pairs = [("retry the task", text) for text in varied_texts()[::4]]
    expected = model.score_pairs(pairs)
    for _ in range(2):  # an earlier reranker is replaced
        save_pretrained(model, tmp_path / "model")
    ours = CrossEncoder.from_pretrained(str(tmp_path / "model"), device="cpu", dtype="float32")
    assert ours.max_length == 64
    assert np.abs(ours.score_pairs(pairs) - expected).max() <= 1e-6
    theirs = OriginalCross(str(tmp_path / "model"), device="cpu", local_files_only=True)
    assert np.abs(theirs.predict(pairs) - expected).max() <= 1e-5
    assert np.ptp(expected) > 0.01


@pytest.mark.parametrize("kind", ["vocab.txt", "sentencepiece"])
def test_any_tokenizer_is_saved(tmp_path: Path, weights: Path, kind: str) -> None:
    from transformers import BertModel

    texts = ["retry the task", "the roof leaks", "Ça va? Straße", ""]
    tokenizer = wordpiece(weights) if kind == "vocab.txt" else sentencepiece(texts)
    sizes = {"hidden_size": 24, "num_hidden_layers": 1, "num_attention_heads": 4, "intermediate_size": 48}
    save(tmp_path / "given", BertModel, tokenizer, vocab_size=len(tokenizer), **sizes)
    if kind == "vocab.txt":
        (tmp_path / "given" / "tokenizer.json").unlink(missing_ok=True)
        vocabulary = sorted(tokenizer.get_vocab().items(), key=lambda item: item[1])
        (tmp_path / "given" / "vocab.txt").write_text("\n".join(piece for piece, _ in vocabulary))
    model = SentenceTransformer.from_pretrained(str(tmp_path / "given"), device="cpu", dtype="float32")
    assert_loads_everywhere(model, tmp_path / "saved", texts)


def test_a_full_disk_leaves_the_earlier_model(
    minilm: SentenceTransformer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    model = smaller(minilm)
    save_pretrained(model, tmp_path / "model", files={"README.md": b"earlier"})
    before = {path: path.read_bytes() for path in (tmp_path / "model").rglob("*") if path.is_file()}

    def full(*_: object) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(ModelError, match=r"cannot write the model to .*: No space left on device"):
        save_pretrained(model, tmp_path / "model")
    assert {path: path.read_bytes() for path in (tmp_path / "model").rglob("*") if path.is_file()} == before
    assert [path.name for path in tmp_path.iterdir()] == ["model"], "nothing unfinished is left"
    monkeypatch.undo()
    save_pretrained(model, tmp_path / "model")
    assert not (tmp_path / "model" / "README.md").exists(), "it is replaced as a whole"


@pytest.mark.parametrize("error", [KeyboardInterrupt(), OSError(errno.EIO, os.strerror(errno.EIO))])
@pytest.mark.parametrize("n_done", [0, 1])
def test_a_save_that_stops_at_any_rename_leaves_the_earlier_model(
    minilm: SentenceTransformer,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    error: BaseException,
    n_done: int,
) -> None:
    model = smaller(minilm)
    save_pretrained(model, tmp_path / "model", files={"README.md": b"earlier"})
    rename, calls = Path.rename, list[Path]()

    def failing(path: Path, target: Path) -> Path:
        calls.append(path)
        if len(calls) == 1 + n_done:
            raise error
        return rename(path, target)

    monkeypatch.setattr(Path, "rename", failing)
    with pytest.raises((KeyboardInterrupt, ModelError)) as found:
        save_pretrained(model, tmp_path / "model")
    if isinstance(error, OSError):
        assert str(found.value).endswith("Input/output error; nothing was changed")
    assert (tmp_path / "model" / "README.md").read_bytes() == b"earlier"
    assert [path.name for path in tmp_path.iterdir()] == ["model"]


def test_an_earlier_model_that_cannot_be_renamed_back_is_kept_and_named(
    minilm: SentenceTransformer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    model = smaller(minilm)
    save_pretrained(model, tmp_path / "model", files={"README.md": b"earlier"})
    rename = Path.rename

    def failing(path: Path, target: Path) -> Path:
        if path.name != "model":
            raise OSError(errno.EIO, os.strerror(errno.EIO))
        return rename(path, target)

    monkeypatch.setattr(Path, "rename", failing)
    with pytest.raises(ModelError, match=r"Input/output error; the earlier model is in .*: rename it to"):
        save_pretrained(model, tmp_path / "model")
    (former,) = tmp_path.iterdir()
    assert (former / "README.md").read_bytes() == b"earlier"


def test_a_folder_of_other_things_is_never_replaced(minilm: SentenceTransformer, tmp_path: Path) -> None:
    (tmp_path / "notes").mkdir()
    (tmp_path / "notes" / "a.md").write_text("The roof leaks.")
    with pytest.raises(InputError, match=r"notes is not empty: name a new folder"):
        save_pretrained(smaller(minilm), tmp_path / "notes")
    with pytest.raises(InputError, match=r"a.md is a file: name a folder"):
        save_pretrained(smaller(minilm), tmp_path / "notes" / "a.md")
    assert (tmp_path / "notes" / "a.md").read_text() == "The roof leaks."


def test_a_model_of_8_bits_is_not_saved(tiny: Path, tmp_path: Path) -> None:
    model = SentenceTransformer.from_pretrained(str(tiny), device="cpu", dtype="int8")
    with pytest.raises(InputError, match="8-bit weights cannot be saved: load it with dtype='float32'"):
        saving.save_pretrained(model, tmp_path / "model")
