"""minisearch eval: what it prints for people and for scripts, and how it fails."""

from __future__ import annotations

import builtins
import json
from collections.abc import Sequence
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pytest
from click.testing import CliRunner, Result

from minisearch import minilm
from minisearch.cli import cli
from minisearch.evaluation.collection import read_collection
from minisearch.evaluation.measures import MEASURES, means, scores_by_query
from minisearch.evaluation.runs import read_run
from minisearch.search.rerank import Rerankers, TimedReranker
from minisearch.types import FloatArray
from tests.cli.usage import usage_error
from tests.evaluation.folders import make_collection
from tests.fakes import HashingEncoder

WORDS = ["bread", "tasks", "zebra", "water", "stone", "paper", "music", "tide"]
CORPUS = [{"_id": word, "title": f"On {word}", "text": f"All that is known of {word}."} for word in WORDS]
QUERIES = [{"_id": f"q{i}", "text": f"tell me of {word}"} for i, word in enumerate(WORDS)]
QRELS = "".join(f"q{i}\t{word}\t2\n" for i, word in enumerate(WORDS))


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A collection of eight documents, each with its query, and a quick model under every name."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(
        minilm.SentenceTransformer, "from_pretrained", lambda name, **_: HashingEncoder(name.split("/")[-1])
    )
    return make_collection(tmp_path / "small", CORPUS, QUERIES, QRELS)


def run(*arguments: str | Path, code: int = 0) -> Result:
    result = CliRunner().invoke(cli, ["eval", *map(str, arguments)], prog_name="minisearch")
    assert result.exit_code == code, result.output
    return result


def json_of(*arguments: str | Path) -> dict[str, Any]:
    return json.loads(run(*arguments, "--json").stdout)


def usage_error_of(*arguments: str | Path) -> str:
    return usage_error(run(*arguments, code=2))


def error_of(*arguments: str | Path) -> str:
    """The one line a mistake is answered with."""
    result = run(*arguments, code=1)
    assert result.stdout == ""
    assert len(result.stderr.splitlines()) == 1, result.stderr
    return result.stderr.removeprefix("Error: ").strip()


# --- mistakes ----------------------------------------------------------------------------------------


def test_invalid_options_are_reported_before_the_work(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(
        "minisearch.evaluation.benchmark.open_benchmark", lambda *_, **__: pytest.fail("the work began")
    )
    assert "unknown mode 'hybird'" in usage_error_of(folder, "--mode", "hybird")
    assert "did you mean hybrid?" in usage_error_of(folder, "--mode", "hybird")
    assert "unknown reranker 'crss'" in usage_error_of(folder, "--rerank", "crss")
    assert usage_error_of(folder, "-k", "0") == "Invalid value for '-k': 0 is not in the range x>=1."
    two = ("--mode", "dense", "--mode", "lexical")
    assert "cannot write nowhere/a.dense.run: there is no folder" in usage_error_of(
        folder, *two, "--save-run", "nowhere/a.run"
    )
    assert "expected a file name that ends in .png, got plot.pdf" in usage_error_of(
        folder, "--plot", "plot.pdf"
    )
    assert "there is no folder nowhere" in usage_error_of(folder, "--plot", "nowhere/a.png")
    assert "there is no folder nowhere" in error_of("nowhere")
    assert "has no split 'dev'" in error_of(folder, "--split", "dev")
    assert "cannot read gone.run" in error_of(folder, "--mode", "dense", "--run", "gone.run")


@pytest.mark.parametrize(("library", "arguments"), [("ir_measures", []), ("matplotlib", ["--plot", "a.png"])])
def test_a_library_that_is_missing_is_named_before_any_work(
    folder: Path, monkeypatch: pytest.MonkeyPatch, library: str, arguments: list[str]
) -> None:
    original = builtins.__import__

    def without(name: str, *rest: object) -> ModuleType:
        if name.split(".")[0] == library:
            raise ImportError(name)
        return original(name, *rest)

    monkeypatch.setattr(
        "minisearch.evaluation.benchmark.open_benchmark", lambda *_, **__: pytest.fail("the work began")
    )
    monkeypatch.setattr(builtins, "__import__", without)
    assert error_of(folder, *arguments).endswith(
        "which is not installed: pip install 'minisearch-local[eval]'"
    )


# --- for people --------------------------------------------------------------------------------------


def test_a_table_has_a_line_a_setting_and_the_comparison_with_the_first(folder: Path) -> None:
    lines = run(folder, "--mode", "lexical", "--mode", "dense").stdout.splitlines()
    assert lines[0] == "small, split test: 8 documents, 8 queries, 8 judgements"
    assert lines[1] == ""
    assert lines[2].split() == [*MEASURES, "p50", "ms", "p95", "ms", "p99", "ms"]
    assert lines[3].split()[:5] == ["lexical", "1.0000", "1.0000", "1.0000", "1.0000"]
    assert lines[4].split()[0] == "dense"
    assert lines[6] == "nDCG@10 against lexical: mean difference, 95 % interval, p"
    assert lines[7].startswith("dense ")
    assert len(lines) == 8
    assert len({len(line) for line in lines[2:5]}) == 1


def test_without_a_mode_the_default_is_measured(folder: Path) -> None:
    assert [setting["name"] for setting in json_of(folder)["settings"]] == ["hybrid"]


def test_per_query_shows_every_measure_of_one_setting_or_the_first_measure_of_several(folder: Path) -> None:
    one = run(folder, "--mode", "lexical", "--per-query").stdout.splitlines()[-9:]
    assert one[0].split() == ["query", *MEASURES]
    assert one[1].split() == ["q0", "1.0000", "1.0000", "1.0000", "1.0000", "tell", "me", "of", "bread"]
    two = run(folder, "--mode", "lexical", "--mode", "dense", "--per-query").stdout.splitlines()[-10:]
    assert two[0] == "nDCG@10 by query"
    assert two[1].split() == ["query", "lexical", "dense"]


def test_mismatches_in_a_collection_are_reported(folder: Path) -> None:
    with (folder / "qrels" / "test.tsv").open("a") as file:
        file.write("q0\tgone\t1\n")
    with (folder / "corpus.jsonl").open("a") as file:
        file.write('{"_id": "void", "text": ""}\n')
    lines = run(folder, "--mode", "lexical").stdout.splitlines()
    assert "note: 1 judged documents that corpus.jsonl does not have: they count as not found" in lines
    assert "note: 1 document without text cannot be found" in lines


def test_hostile_texts_do_not_reach_the_terminal(folder: Path) -> None:
    hostile = {"_id": "q\x1b[31m", "text": "bread\x1b[2J"}
    folder = make_collection(folder / "hostile", CORPUS, [hostile], "q\x1b[31m\tbread\t1\n")
    assert "\x1b" not in run(folder, "--mode", "lexical", "--per-query").output


# --- for scripts -------------------------------------------------------------------------------------


def test_json_has_everything(folder: Path) -> None:
    found = json_of(folder, "--mode", "lexical", "--mode", "dense", "-k", "5", "--whole")
    assert found["collection"] == {
        "name": "small",
        "split": "test",
        "n_documents": 8,
        "n_queries": 8,
        "n_judgements": 8,
        "notes": [],
        "cut_queries": [],
    }
    assert (found["k"], found["index"]["whole"], found["index"]["n_chunks"]) == (5, True, 8)
    assert found["index"]["elapsed_s"] > found["index"]["encoding_s"] > 0
    lexical, dense = found["settings"]
    assert lexical["against_first"] is None
    assert set(dense["against_first"]) == set(dense["measures"]) == set(MEASURES)
    assert set(dense["against_first"]["MAP"]) == {"difference", "low", "high", "p"}
    assert list(dense["queries"]) == [query["_id"] for query in QUERIES]
    for name, mean in dense["measures"].items():
        assert mean == pytest.approx(sum(of_query[name] for of_query in dense["queries"].values()) / 8)
    assert 0 < dense["latency_ms"]["p50"] <= dense["latency_ms"]["p95"] <= dense["latency_ms"]["p99"]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--rerank-depth", "3"], "--rerank-depth without --rerank has no effect"),
        (["--rerank-model", "ms-marco-MiniLM-L6-v2"], "--rerank-model without --rerank has no effect"),
        (["--rerank", "bi", "--rerank-depth", "0"], "0 is not in the range x>=1"),
        (["--run", "a.run", "--whole"], "--whole with --run alone has no effect"),
        (["--run", "a.run", "--index", "i"], "--index with --run alone has no effect"),
        (["--run", "a.run", "--model", "all-MiniLM-L12-v2"], "--model with --run alone has no effect"),
    ],
)
def test_an_option_that_would_change_nothing_is_refused(
    folder: Path, arguments: list[str], message: str
) -> None:
    assert message in usage_error_of(folder, *arguments)


def test_a_saved_run_measures_as_it_did(folder: Path) -> None:
    measured = json_of(folder, "--mode", "dense", "--save-run", "dense.run")["settings"][0]
    assert (folder.parent / "dense.run").read_text().splitlines()[0].split()[-1] == "dense"
    alone = json_of(folder, "--run", "dense.run")
    assert alone["index"] is None
    assert alone["settings"][0]["name"] == "dense.run"
    assert alone["settings"][0]["measures"] == pytest.approx(measured["measures"])
    assert alone["settings"][0]["latency_ms"] is None
    rankings, judgements = read_run(Path("dense.run")), read_collection(folder).judgements
    assert means(scores_by_query(rankings, judgements)) == pytest.approx(measured["measures"])


def test_a_run_file_is_listed_after_the_modes(folder: Path) -> None:
    Path("bad.run").write_text("".join(f"q{i} Q0 {WORDS[i - 1]} 1 1.0 bad\n" for i in range(8)))
    *_, of_run, _, _, _ = run(folder, "--mode", "lexical", "--run", "bad.run").stdout.splitlines()
    assert of_run.split()[0] == "bad.run" and len(of_run.split()) == 5, "a run file has no latency"
    lexical, bad = json_of(folder, "--mode", "lexical", "--run", "bad.run")["settings"]
    assert (lexical["name"], bad["name"]) == ("lexical", "bad.run")
    assert bad["against_first"]["nDCG@10"]["difference"] == -1.0
    assert bad["against_first"]["nDCG@10"]["p"] == 2 / 2**8


def test_a_plot_is_drawn(folder: Path) -> None:
    run(folder, "--mode", "lexical", "--plot", "a.png")
    assert Path("a.png").read_bytes().startswith(b"\x89PNG")


def test_a_named_index_is_kept_and_used_again(folder: Path) -> None:
    assert json_of(folder, "--mode", "dense", "--index", "kept")["index"]["n_encoded"] == 8
    assert json_of(folder, "--mode", "dense", "--index", "kept")["index"]["n_encoded"] == 0


class Backwards:
    """Turns any ranking round."""

    name = "backwards"

    def score(self, query: str, texts: Sequence[str]) -> FloatArray:
        return np.arange(len(texts), dtype=np.float32)


def test_a_reranked_mode_is_listed_after_the_same_mode_without(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(
        Rerankers, "timed", lambda *_: TimedReranker(Backwards(), lambda _, texts: np.ones(len(texts)))
    )
    found = json_of(folder, "--mode", "dense", "--rerank", "bi", "--rerank-depth", "8")
    plain, turned = found["settings"]
    assert (plain["name"], turned["name"]) == ("dense", "dense+bi")
    for query in plain["queries"]:  # of eight documents, the one at rank r comes to stand at 9 - r
        rank = 1 / plain["queries"][query]["MRR@10"]
        assert turned["queries"][query]["MRR@10"] == pytest.approx(1 / (9 - rank))


def test_missing_weights_are_reported_before_the_work(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(
        "minisearch.evaluation.benchmark.open_benchmark", lambda *_, **__: pytest.fail("the work began")
    )
    assert "no-such-model" in usage_error_of(folder, "--rerank", "cross", "--rerank-model", "./no-such-model")
    assert (
        "no weights for ms-marco-MiniLM-L6-v2"
        in run(
            folder, "--rerank", "cross", "--rerank-model", "ms-marco-MiniLM-L6-v2", "--offline", code=1
        ).stderr
    )


def test_several_settings_are_saved_in_a_run_file_each(folder: Path) -> None:
    found = json_of(folder, "--mode", "dense", "--mode", "lexical", "--save-run", "a.run")["settings"]
    assert sorted(path.name for path in Path().glob("*.run")) == ["a.dense.run", "a.lexical.run"]
    for setting in found:
        rankings = read_run(Path(f"a.{setting['name']}.run"))
        measured = means(scores_by_query(rankings, read_collection(folder).judgements))
        assert measured == pytest.approx(setting["measures"])


def test_queries_that_are_longer_than_the_model_sees_are_named(folder: Path) -> None:
    fitting, longer = "bread " * 40, "bread " * 41  # the fake model sees 40 words
    queries = [{"_id": "q0", "text": fitting.strip()}, {"_id": "q1", "text": longer.strip()}]
    folder = make_collection(folder / "long", CORPUS, queries, "q0\tbread\t1\nq1\tbread\t1\n")
    assert json_of(folder)["collection"]["cut_queries"] == ["q1"]
    note = "note: 1 of the queries is longer than the model sees, which cuts the end: q1"
    assert note in run(folder).stdout.splitlines()


@pytest.mark.parametrize("name", ["/proc/a.run", "."])
def test_a_run_file_that_cannot_be_written_is_reported_before_the_work(
    folder: Path, name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(
        "minisearch.evaluation.benchmark.open_benchmark", lambda *_, **__: pytest.fail("the work began")
    )
    assert f"cannot write {name}: " in usage_error_of(folder, "--mode", "lexical", "--save-run", name)
