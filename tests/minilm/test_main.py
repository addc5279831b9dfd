"""`python -m minisearch.minilm`: a matrix that can be read, and errors of one line."""

from __future__ import annotations

import re
import subprocess
import sys

import pytest
from click.testing import CliRunner, Result

from minisearch.minilm import SentenceTransformer
from minisearch.minilm.__main__ import EXAMPLES, main

TEXTS = ["How do I retry a failed task?", "Run the job again after an error", "Bread needs flour and salt"]


def run(*arguments: str) -> Result:
    return CliRunner(env={"COLUMNS": "60"}).invoke(main, ["--offline", *arguments])


def numbers(output: str) -> list[list[float]]:
    """The rows of the matrix, their numbers and the line of numbers above left out."""
    return [
        [float(cosine) for cosine in line.split()[1:]] for line in output.split("\n\n")[1].splitlines()[1:]
    ]


def test_it_runs_as_a_module() -> None:
    command = [
        sys.executable,
        "-m",
        "minisearch.minilm",
        "--model",
        "all-MiniLM-L6-v2",
        "--max-length",
        "128",
    ]
    done = subprocess.run([*command, "--offline", *TEXTS[:2]], capture_output=True, text=True, check=True)
    assert done.stdout.splitlines() == [
        f"1  {TEXTS[0]}",
        f"2  {TEXTS[1]}",
        "",
        "       1      2",
        "1  1.000  0.611",
        "2  0.611  1.000",
    ]
    assert done.stderr == ""


def test_the_matrix_is_the_models_similarity(minilm: SentenceTransformer) -> None:
    vectors = minilm.encode(TEXTS)
    for row, expected in zip(numbers(run(*TEXTS).stdout), vectors @ vectors.T, strict=True):
        assert row == pytest.approx(expected, abs=6e-4)


def test_ten_texts_stay_within_eighty_columns() -> None:
    output = run(*(f"{text} {number}" for number in range(5) for text in TEXTS[:2])).stdout
    assert max(map(len, output.splitlines())) <= 80
    legend, matrix = output.split("\n\n")
    assert [line.split()[0] for line in legend.splitlines()] == [str(number) for number in range(1, 11)]
    assert len({len(line) for line in matrix.splitlines()}) == 1, "the columns are aligned"


def test_a_text_is_listed_on_one_line_without_what_a_terminal_would_obey() -> None:
    output = run("many\nlines \x1b[31m red", "word " * 50).stdout
    assert output.splitlines()[0] == "1  many lines [31m red"
    assert re.fullmatch(r"2  (word )+w?o?r?d?…", output.splitlines()[1])
    assert len(output.splitlines()[1]) <= 60


def test_without_texts_the_examples_are_compared() -> None:
    result = run()
    assert result.stdout.splitlines()[:2] == [f"1  {EXAMPLES[0]}", f"2  {EXAMPLES[1]}"]
    assert result.exit_code == 0


@pytest.mark.parametrize("option", ["--max-length", "--max_length"])
def test_texts_are_cut_at_the_length_however_it_is_spelt(option: str) -> None:
    result = run(option, "5", "one two three four", "one two three and more")
    assert numbers(result.stdout) == [[1, 1], [1, 1]]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["alone"], "Error: expected two or more texts, each in quotes, got one\n"),
        (["--max-length", "2", "a", "b"], r"Error: max_length is 2.* expected .*\n"),
        (["--max-length", "0", "a", "b"], r"Error: max_length is 0.* expected .*\n"),
        (["--max-length", "513", "a", "b"], r"Error: max_length is 513.* expected .*\n"),
        (["--model", "no-such-model", "a", "b"], r"Error: unknown model 'no-such-model'.*\n"),
    ],
)
def test_a_mistake_is_one_line_and_exit_code_1(arguments: list[str], message: str) -> None:
    result = run(*arguments)
    assert re.fullmatch(message, result.stderr)
    assert (result.exit_code, result.stdout) == (1, "")
