"""The static student: its start, what the corpus teaches it, `minisearch train static`, and its errors."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from sentence_transformers import SentenceTransformer as Original

from minisearch.errors import InputError
from minisearch.evaluation.known_items import ChunkedDocument, ChunkText
from minisearch.minilm import CrossEncoder, MiniLMConfig, SentenceTransformer, StaticEncoder
from minisearch.minilm.saving import save_pretrained
from minisearch.training import static, trainer
from minisearch.training.static import (
    StaticData,
    StaticDistillation,
    StaticStudent,
    frequency_weights,
    initial_student,
    principal_axes,
    tokens_alone,
)
from minisearch.training.trainer import TrainingSettings, train
from tests.cli.usage import run
from tests.training.conftest import SIZES, some_texts

DOCS = Path(__file__).parents[2] / "data" / "docs"
SMALL = ("--teacher", "./teacher", "--corpus", str(DOCS / "programming"), "--batch-size", "8", "--offline")


def documents(texts: list[str]) -> list[ChunkedDocument]:
    return [ChunkedDocument(i, f"{i}.md", "", (ChunkText(text, ""),)) for i, text in enumerate(texts)]


@pytest.fixture
def exact_teacher(teacher: SentenceTransformer) -> SentenceTransformer:
    """It computes in float32 on every machine."""
    teacher._compute_in("float32")
    return teacher


@pytest.fixture
def data(exact_teacher: SentenceTransformer) -> StaticData:
    made = StaticData(documents(some_texts(24)), exact_teacher, batch_size=8)
    made.encode()
    return made


def some_student(n_tokens: int = 50) -> StaticStudent:
    """One whose parameters are far from the start."""
    generator = np.random.default_rng(0)
    alone = generator.standard_normal((n_tokens, 12)).astype(np.float32)
    student = StaticStudent(alone, generator.integers(0, 999, n_tokens), dimension=7, unknown=[3])
    torch.manual_seed(0)
    with torch.no_grad():
        for parameter in student.parameters():
            parameter.normal_(std=0.5)
    return student


# --- the start -------------------------------------------------------------------------------------------


def test_frequent_tokens_weigh_little(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(static, "N_PRIOR", 6)
    monkeypatch.setattr(static, "SIF", 0.25)
    # Zipf's law over three tokens is 6/13, 4/13 and 3/13, worth 6 tokens beside the corpus's 4.
    frequency = [(4 + 36 / 13) / 10, 24 / 13 / 10, 18 / 13 / 10]
    assert frequency_weights(np.array([4, 0, 0])) == pytest.approx([0.25 / (0.25 + one) for one in frequency])


def test_the_first_axes_hold_the_variance() -> None:
    vectors = np.random.default_rng(0).standard_normal((200, 6)) * [1, 5, 1, 9, 1, 1]
    centred = (vectors - vectors.mean(0)).astype(np.float32)
    axes = principal_axes(centred, 3)
    expected = np.linalg.svd(centred)[2][:3].T
    assert np.abs(axes.T @ expected) == pytest.approx(np.eye(3), abs=1e-4), "but for their signs"


def test_a_token_alone_is_encoded_between_the_special_ones(exact_teacher: SentenceTransformer) -> None:
    alone, teacher = tokens_alone(exact_teacher), exact_teacher
    assert alone.shape == (30_522, 24)
    for token in (2_000, 30_000):
        hidden = teacher.model(torch.tensor([[101, token, 102]]))  # (1, T, H)
        assert alone[token] == pytest.approx(hidden[0].mean(0).detach().numpy(), abs=2e-2), (
            "bfloat16 at worst"
        )
    ids = teacher.tokenizer.one_token_ids("the roof: ")
    assert ids[7] == [*teacher.tokenizer.ids(["the roof: "])[0][:-1], 7, 102]


# --- training --------------------------------------------------------------------------------------------


@pytest.mark.parametrize("is_training", [True, False])
def test_the_student_gives_the_vectors_of_its_table(tokenizer, is_training: bool) -> None:
    student = some_student().train(is_training)
    texts = [[4, 9, 9, 1], [30], [3, 8]]
    ids, offsets = torch.tensor([token for text in texts for token in text]), torch.tensor([0, 4, 5])
    table = student.table()
    means = np.stack([table[text].mean(0) for text in texts])
    expected = means / np.linalg.norm(means, axis=1, keepdims=True)
    assert student(ids, offsets).detach().numpy() == pytest.approx(expected, abs=1e-5)
    assert not table[3].any(), "an unknown token adds nothing"


def test_a_batch_has_the_teachers_vectors_of_its_texts(
    data: StaticData, teacher: SentenceTransformer
) -> None:
    (batch,) = data.batches(2)
    texts = [teacher.tokenizer.decode(part.tolist()) for part in batch.ids.tensor_split(batch.offsets[1:])]
    assert set(texts) <= {*some_texts(24)}
    assert batch.vectors.numpy() == pytest.approx(teacher.encode(texts), abs=1e-3), "float16"
    n_tokens = sum(map(len, teacher.tokenizer.plain_ids(texts)))
    assert (len(batch), batch.n_tokens) == (8, n_tokens)
    roof = teacher.tokenizer.plain_ids(["roof"])[0][0]
    assert data.counts[roof] == sum("roof" in text for text in some_texts(24))
    epoch = [tuple(one.ids.tolist()) for step in range(3) for one in data.batches(step)]
    assert len({*epoch}) == 3


def test_short_texts_are_queries_for_the_teacher(exact_teacher: SentenceTransformer) -> None:
    teacher = exact_teacher
    teacher.settings = replace(teacher.settings, prompts={"query": "what: ", "passage": "text: "})
    text = "The roof leaks. Rain falls from the west."
    data = StaticData([ChunkedDocument(0, "a.md", "Roof", (ChunkText(text, ""),))], teacher, batch_size=4)
    data.encode()
    expected = teacher.encode_document([f"Roof {text}"]), teacher.encode_query(["The roof leaks."])
    of_texts = dict(zip((text for text, _ in data._texts), data._vectors, strict=True))
    assert of_texts[f"Roof {text}"] == pytest.approx(expected[0][0], abs=1e-3)
    assert of_texts["The roof leaks."] == pytest.approx(expected[1][0], abs=1e-3)


def test_words_that_the_corpus_never_has_move_with_the_others_only(
    teacher: SentenceTransformer, data: StaticData
) -> None:
    student = initial_student(teacher, data, 8)
    before = student.table()
    trained = train(
        student, data, StaticDistillation(student), TrainingSettings(learning_rate=3e-2, steps=40)
    )
    losses = [sum(values) for values in zip(*trained.losses.values(), strict=True)]
    assert np.mean(losses[-5:]) < 0.8 * losses[0]
    unseen = data.counts == 0
    moved = student.weight[:, None] * student.z @ (student.start + student.map)
    assert np.abs(student.table() - moved.detach().numpy())[unseen].max() < 1e-5
    assert np.abs(student.table() - moved.detach().numpy())[~unseen].max() > 1e-4
    assert np.abs(student.table() - before)[unseen].max() > 1e-3


# --- the command -----------------------------------------------------------------------------------------


@pytest.fixture
def here(tmp_path: Path, teacher_folder: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    return tmp_path


def static_model(*arguments: str, code: int = 0):
    return run("train", "static", *SMALL, *arguments, code=code)


def test_a_static_model_is_made_measured_and_loads_everywhere(here: Path) -> None:
    result = static_model("--corpus", str(DOCS), "--steps", "3", "--dimension", "16", "--out", "my-static")
    header, teacher, before, student, speed, saved = result.stdout.splitlines()
    assert header.split()[:5] == ["layers", "width", "parameters", "tokens/s", "recall@1"]
    assert teacher.split()[:3] == ["teacher", "4", "24"]
    assert before.split()[:4] == ["student", "before", "0", "16"]
    assert student.split()[:4] == ["student", "0", "16", "0.5M"]
    assert "times as fast as the teacher" in speed
    assert saved == "Saved in my-static. Next: minisearch index --model ./my-static PATH"
    assert "student: step 3/3, loss" in result.stderr
    assert sorted(path.name for path in here.iterdir()) == ["my-static", "teacher"], "no checkpoint is left"
    assert (here / "my-static" / "loss.png").read_bytes().startswith(b"\x89PNG")
    card = (here / "my-static" / "README.md").read_text()
    for said in (
        "one vector of width 16 for each token, made from teacher",
        "3 steps of 8",
        "| student | 0 |",
    ):
        assert said in card

    ours = StaticEncoder.from_pretrained("./my-static")
    texts = ["the roof leaks", "retry a failed request", "速い cafe"]
    theirs = Original("./my-static", device="cpu", local_files_only=True).encode(texts)
    assert (ours.encode(texts) * theirs).sum(1).min() >= 0.99999
    model2vec = pytest.importorskip("model2vec")
    theirs = model2vec.StaticModel.from_pretrained("./my-static", force_download=False).encode(texts)
    assert (ours.encode(texts) * theirs).sum(1).min() >= 0.99999

    run("index", "--model", "./my-static", str(DOCS / "home"))
    found = run("query", "the radiator is cold", "--mode", "dense", "--json", "-k", "3")
    assert len(found.stdout.splitlines()) == 3
    assert json.loads(found.stdout.splitlines()[0])["evidence"]["score"] is not None
    assert "my-static" in run("status").stdout


def test_a_run_that_stopped_goes_on_with_the_same_bits(here: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    arguments = ("--steps", "4", "--checkpoint-minutes", "0")
    static_model(*arguments, "--out", "whole")
    n_steps = 0
    step = trainer._Trainer._step

    def broken(self):
        nonlocal n_steps
        n_steps += 1
        if n_steps == 3:
            raise KeyboardInterrupt
        return step(self)

    monkeypatch.setattr(trainer._Trainer, "_step", broken)
    static_model(*arguments, "--out", "parts", code=130)
    assert (here / "parts.student.checkpoint").exists()
    static_model(*arguments, "--out", "parts", "--resume")
    assert n_steps == 5, "two steps were left"
    whole, parts = ((here / name / "model.safetensors").read_bytes() for name in ("whole", "parts"))
    assert whole == parts


def test_without_a_dimension_it_is_the_teachers_if_that_is_small(here: Path) -> None:
    static_model("--steps", "1", "--out", "my-static")
    assert StaticEncoder.from_pretrained("./my-static").dimension == 24


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--dimension", "25"], "the dimension is 25, expected at most the teacher's width, 24"),
        (["--batch-size", "5000"], "the corpus is too small: it has"),
        (["--corpus", "nothing"], "nothing"),
        (["--out", "used"], "the folder used is not empty: name a new folder"),
        (
            ["--teacher", "./static"],
            "static holds a static model, one vector for each token: expected a BERT",
        ),
        (
            ["--teacher", "./cross"],
            "cross is a cross-encoder: expected an embedder",
        ),
    ],
)
def test_each_mistake_is_one_line(here: Path, tokenizer, arguments: list[str], message: str) -> None:
    (here / "used").mkdir()
    (here / "used" / "a.md").write_text("The roof leaks.")
    table = np.ones((tokenizer.vocab_size, 4), np.float32)
    save_pretrained(StaticEncoder(table, tokenizer), here / "static")
    cross = CrossEncoder(MiniLMConfig(**SIZES), max_length=32)
    cross._tokenizer = tokenizer
    save_pretrained(cross, here / "cross")
    result = static_model("--steps", "1", "--out", "my-static", *arguments, code=1)
    error = result.stderr.splitlines()[-1]
    assert error.startswith("Error: ")
    assert message in error
    assert sorted(path.name for path in here.iterdir()) == ["cross", "static", "teacher", "used"]


def test_a_wrong_dimension_is_found_before_the_corpus_is_encoded(
    here: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(StaticData, "encode", lambda *_: pytest.fail("encoded"))
    with pytest.raises(InputError, match="the dimension is 99"):
        static.run(
            static.StaticJob(out=here / "a", corpus=(DOCS,), teacher="./teacher", dimension=99, steps=1)
        )
