"""`minisearch train classify`: tables, batches, what a classifier learns, and where it loads."""

from __future__ import annotations

import json
import re
from pathlib import Path

import numpy as np
import pytest
import torch
from sentence_transformers import CrossEncoder as Original
from sklearn.metrics import accuracy_score, f1_score
from transformers import AutoModelForSequenceClassification, AutoTokenizer

from minisearch.errors import InputError
from minisearch.minilm import CrossEncoder, SentenceTransformer
from minisearch.training.classification import (
    Classification,
    ClassificationJob,
    Example,
    LabelledData,
    _examples,
    confusion,
    measures,
    read_examples,
)
from minisearch.training.reranking import cross_encoder_of
from tests.cli.usage import run

ROOT = Path(__file__).parents[2]
TOPICS = {
    "garden": ["soil", "seed", "roots", "water", "leaves", "compost", "spade", "tomato"],
    "kitchen": ["bread", "oven", "salt", "flour", "knife", "boil", "butter", "pan"],
    "weather": ["rain", "wind", "storm", "cloud", "frost", "snow", "thunder", "fog"],
}


def sentences(n: int) -> list[Example]:
    """Different sentences of words of their topic, half of them in the garden."""
    generator = np.random.default_rng(0)
    made = dict[Example, None]()
    while len(made) < n:
        topic = "garden" if len(made) % 2 else ["kitchen", "weather"][len(made) // 2 % 2]
        words = generator.choice(TOPICS[topic], 3, replace=False)
        made[Example(f"Yesterday it was about {words[0]} and {words[1]}, then {words[2]}", None, topic)] = (
            None
        )
    return list(made)


def table(path: Path, examples: list[Example]) -> Path:
    rows = [f"{number}\t{one.first}\t{one.label}" for number, one in enumerate(examples)]
    path.write_text("\n".join(["id\tsentence\tlabel", *rows]) + "\n")
    return path


# --- tables ----------------------------------------------------------------------------------------------


def test_columns_are_chosen_by_name_or_number(tmp_path: Path) -> None:
    file = tmp_path / "a.tsv"
    # As in MRPC: a byte order mark, quotes that are not closed, lines that end as on Windows.
    file.write_bytes('\ufeffQuality\t#1 ID\tA\tB\r\n1\t7\tThe "roof\tA roof\r\n0\t8\tRain\tSun\r\n'.encode())
    expected = [Example('The "roof', "A roof", "1"), Example("Rain", "Sun", "0")]
    assert read_examples(file, text="A", second="B", label="Quality") == expected
    assert read_examples(file, text="3", second="4", label="1") == expected
    assert read_examples(file, text="4", second=None, label="1")[0] == Example("A roof", None, "1")


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("sentence\tanswer\na\tb\n", r"has no column 'label': expected one of sentence, answer, or a number"),
        ("sentence\tlabel\nonly one\n", "line 2: it has 1 columns, expected 2"),
        ("sentence\tlabel\na\t \n", "line 2: the label is empty"),
        (b"sentence\tlabel\n\xff\tb\n", "cannot read .*: it is not in UTF-8"),
        (None, "cannot read .*: No such file"),
    ],
)
def test_each_fault_of_a_table_is_named(tmp_path: Path, content: str | bytes | None, message: str) -> None:
    file = tmp_path / "a.tsv"
    if content is not None:
        file.write_bytes(content.encode() if isinstance(content, str) else content)
    with pytest.raises(InputError, match=message):
        read_examples(file, text="sentence", second=None, label="label")


# --- measures and batches --------------------------------------------------------------------------------


def test_the_measures_are_those_of_scikit_learn() -> None:
    generator = np.random.default_rng(0)
    for n_labels in (2, 5):
        actual, predicted = generator.integers(0, n_labels, 30), generator.integers(0, n_labels, 30)
        actual[actual == 1] = predicted[predicted == 1] = 0  # a label that does not occur
        counts = np.zeros((n_labels, n_labels), np.int64)
        np.add.at(counts, (actual, predicted), 1)
        found = measures(counts)
        assert found["accuracy"] == pytest.approx(accuracy_score(actual, predicted))
        assert found["macro F1"] == pytest.approx(f1_score(actual, predicted, average="macro"))
        assert found["majority class"] == pytest.approx(np.bincount(actual).max() / 30)


def test_a_batch_gives_the_logits_of_its_examples_one_by_one(teacher: SentenceTransformer) -> None:
    model = cross_encoder_of(teacher, labels=["no", "yes"])
    pairs = [Example(one.first, "Rain falls", "yes") for one in sentences(4)]
    examples = [*sentences(5)[::-1], *pairs]
    examples = [Example(one.first, one.second, "no") for one in examples]
    data = LabelledData(examples, model, batch_size=9, batch_tokens=60)
    recipe = Classification(model)
    with torch.no_grad():
        for places, batch in data.batches_of(examples):
            for place, logits in zip(places, recipe.logits(batch), strict=True):
                ((_, alone),) = data.batches_of([examples[place]])
                assert torch.allclose(recipe.logits(alone)[0], logits, atol=1e-5)
    assert confusion(model, data, examples).sum() == 9


# --- the command -----------------------------------------------------------------------------------------


@pytest.fixture
def here(tmp_path: Path, teacher_folder: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    return tmp_path


def classify(*arguments: str, code: int = 0):
    return run("train", "classify", "--model", "./teacher", "--offline", *arguments, code=code)


def test_a_classifier_beats_the_majority_class_and_loads_everywhere(here: Path) -> None:
    table(here / "train.tsv", sentences(300))
    result = classify(
        *("--model", "all-MiniLM-L6-v2", "--train", "train.tsv", "--out", "topics"),
        *("--steps", "25", "--batch-size", "8", "--learning-rate", "2e-4"),
    )
    header, _, after, _, _, labels, *rows, saved = result.stdout.splitlines()
    assert header.split()[-5:] == ["majority", "class", "macro", "F1", "accuracy"]
    majority, macro_f1, accuracy = map(float, after.split()[-3:])
    assert majority < 0.7
    assert min(macro_f1, accuracy) > majority + 0.25
    assert labels.split() == [row.split()[0] for row in rows] == ["garden", "kitchen", "weather"]
    counts = np.array([row.split()[1:] for row in rows], int)
    assert counts.sum() == 30, "a tenth"
    assert accuracy == pytest.approx(np.diag(counts).sum() / 30, abs=1e-3)
    assert saved == "Saved in topics"
    assert "with the labels garden, kitchen, weather" in (here / "topics" / "README.md").read_text()

    assert "texts are cut at 128 tokens" in (here / "topics" / "README.md").read_text()

    config = json.loads((here / "topics" / "config.json").read_text())
    assert config["id2label"] == {"0": "garden", "1": "kitchen", "2": "weather"}
    ours = CrossEncoder.from_pretrained("./topics", device="cpu", dtype="float32")
    assert ours.labels == ("garden", "kitchen", "weather")
    assert ours.max_length == 128, "as it was trained and measured"
    texts = ["Bread with salt", "The storm brings rain"]
    tokens = AutoTokenizer.from_pretrained("./topics")(texts, padding=True, return_tensors="pt")
    theirs = AutoModelForSequenceClassification.from_pretrained("./topics").eval()
    with torch.no_grad():
        expected = theirs(**tokens).logits
        found = ours(tokens["input_ids"], tokens["attention_mask"], tokens["token_type_ids"])
        assert torch.allclose(found, expected, atol=1e-5)
        assert theirs.config.id2label[int(expected[0].argmax())] == "kitchen"
        pair = [("Bread", "salt"), ("The storm", "rain")]
        both = ours.tokenizer.pair_ids(*pair[0][:1], [pair[0][1]])[0]
        logits = ours(torch.tensor([both[0]]), None, torch.tensor([both[1]]))
    scores = Original("./topics", device="cpu", local_files_only=True).predict(pair)
    assert np.allclose(scores[0], logits[0].numpy(), atol=1e-4)

    page = (ROOT / "docs" / "training.md").read_text(encoding="utf-8")
    (example,) = re.findall(r"^```python\n(.*?)^```", page, re.DOTALL | re.MULTILINE)
    (here / "my-classifier").symlink_to("topics")
    exec(compile(example, "docs/training.md", "exec", dont_inherit=True), {})


def test_pairs_are_measured_with_a_file_of_their_own(here: Path) -> None:
    made = sentences(52)
    # Two examples of the other file are in this one too.
    for name, some in (("train.tsv", made[:42]), ("dev.tsv", made[40:])):
        rows = [f"{one.first}\t{one.label}\t{number % 2}" for number, one in enumerate(some)]
        (here / name).write_text("\n".join(["a\tb\tsame", *rows]))
    arguments = ["--train", "train.tsv", "--dev", "dev.tsv", "--text", "a", "--second", "2"]
    result = classify(*arguments, "--label", "same", "--steps", "2", "--batch-size", "8", "--out", "pairs")
    assert "40 examples to train on, 12 others to measure" in (here / "pairs" / "README.md").read_text()
    assert "A classifier of pairs of texts" in (here / "pairs" / "README.md").read_text()
    assert "classifier: step 2/2, loss" in result.stderr


@pytest.mark.parametrize(
    ("n", "arguments", "message"),
    [
        (10, [], "train.tsv has 10 examples, expected at least 20"),
        (30, ["--batch-size", "64"], "there are too few examples: 27, expected at least 64, the batch size"),
        (30, ["--text", "words"], "train.tsv has no column 'words'"),
        (
            30,
            ["--label", "1", "--dev", "dev.tsv"],
            "the label 'x' is among the examples to measure with, but not among those to train on: give "
            "other examples to measure with by --dev",
        ),
    ],
)
def test_each_mistake_is_one_line(here: Path, n: int, arguments: list[str], message: str) -> None:
    table(here / "train.tsv", sentences(n))
    (here / "dev.tsv").write_text("id\tsentence\tlabel\nx\tRain\tgarden\n")
    error = classify("--train", "train.tsv", "--steps", "1", "--out", "out", *arguments, code=1).stderr
    assert message in error.splitlines()[-1]
    assert not (here / "out").exists()


def job_of(here: Path, examples: list[Example], **options: object) -> ClassificationJob:
    file = table(here / "train.tsv", examples)
    return ClassificationJob(out=here / "out", model="none", train=file, steps=1, **options)


def test_no_text_is_both_trained_on_and_measured_with(here: Path) -> None:
    twice = [one for one in sentences(40) for _ in range(2)]
    examples, test = _examples(job_of(here, twice))
    assert len(examples) + len(test) == 80
    assert len(test) == 8, "both rows of a tenth of the texts"
    assert not {one.first for one in examples} & {one.first for one in test}
    dev = table(here / "dev.tsv", sentences(5))
    examples, test = _examples(job_of(here, sentences(40), dev=dev))
    assert (len(examples), len(test)) == (35, 5)
    with pytest.raises(InputError, match=r"without the texts of .*, has no label, expected at least two"):
        _examples(job_of(here, sentences(40), dev=here / "train.tsv"))
    same = [Example("rain", None, label) for label in ("a", "b") for _ in range(10)]
    with pytest.raises(InputError, match=r"too few different texts to measure with: give examples .* --dev"):
        _examples(job_of(here, same))


@pytest.mark.parametrize("seed", range(5))
def test_a_rare_label_is_trained_on_whatever_the_seed(here: Path, seed: int) -> None:
    rare = [Example("once", None, "rare"), Example("one", None, "pair"), Example("other", None, "pair")]
    examples, test = _examples(job_of(here, [*sentences(40), *rare], seed=seed))
    assert {one.label for one in examples} == {"garden", "kitchen", "weather", "rare", "pair"}
    assert len(test) == 4
    assert sum(one.label == "garden" for one in test) in {1, 2}, "by label"


def test_a_single_label_is_refused(here: Path) -> None:
    table(here / "train.tsv", [one for one in sentences(60) if one.label == "garden"])
    error = classify("--train", "train.tsv", "--steps", "1", "--out", "out", code=1).stderr
    assert "train.tsv has only the label 'garden', expected at least two" in error
