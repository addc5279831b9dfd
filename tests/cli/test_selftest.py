"""``minisearch selftest``: what it prints, what it draws, what it refuses."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from minisearch import MiniSearch
from minisearch.cli import cli
from minisearch.evaluation.selftest import MIN_QUERIES
from minisearch.minilm.encoders import Encoders
from tests.cli.usage import usage_error
from tests.evaluation.test_selftest import an_encoder, write_documents
from tests.fakes import HashingEncoder
from tests.test_architecture import HEAVY, RUN, loaded_by


@pytest.fixture(scope="module")
def index(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("project")
    (folder / "docs").mkdir()
    write_documents(folder / "docs")
    with MiniSearch.open(folder, encoder=an_encoder()) as ms:
        ms.index(folder / "docs", backend="flat")
    return folder / ".minisearch"


@pytest.fixture(autouse=True)
def quick_encoder(monkeypatch: pytest.MonkeyPatch) -> None:
    def to_index(encoders: Encoders, model: str) -> HashingEncoder:
        return an_encoder()

    monkeypatch.setattr(Encoders, "to_index", to_index)


def run(index: Path, *arguments: str, code: int = 0) -> Result:
    result = CliRunner().invoke(cli, ["selftest", "--index", str(index), "-n", "30", *arguments])
    assert result.exit_code == code, result.output
    return result


@pytest.mark.annoy
def test_the_page_has_a_row_for_every_setting_kind_and_file_type(index: Path) -> None:
    lines = run(index, "--backend", "flat", "--backend", "annoy").stdout.splitlines()
    assert lines[0].startswith("30 queries from 40 documents: ")
    starts = [line.split("  ")[0] for line in lines]
    for setting in ("hybrid, flat", "hybrid, annoy", "dense, flat", "dense, annoy"):
        assert starts.count(setting) == (2 if setting == "hybrid, flat" else 3)  # the first has no difference
    assert starts.count("lexical") == 3
    for row in ("heading", "title", "sentence", ".md", ".txt", "flat", "annoy"):
        assert starts.count(row) == 1
    assert max(map(len, lines)) <= 80


def test_the_json_has_every_number_and_every_query(index: Path) -> None:
    found = json.loads(
        run(index, "--json", "--backend", "flat", "--mode", "dense", "--mode", "lexical").stdout
    )
    dense, lexical = found["settings"]
    assert (dense["mode"], dense["backend"]) == ("dense", "flat")
    assert (lexical["mode"], lexical["backend"]) == ("lexical", None)
    assert len(found["questions"]) == found["settings"][0]["measures"]["n"] == 30
    for name, setting in (("dense, flat", dense), ("lexical", lexical)):
        ranks = [query["ranks"][name] for query in found["questions"]]
        n_found = sum(rank is not None for rank in ranks)
        assert setting["measures"]["recall@10"]["value"] == pytest.approx(n_found / 30)
        reciprocal = sum(1 / rank for rank in ranks if rank) / 30
        assert setting["measures"]["MRR@10"]["value"] == pytest.approx(reciprocal)
        assert sum(group["n"] for group in setting["by_kind"].values()) == 30
        assert sum(group["n"] for group in setting["by_type"].values()) == 30
        assert 0 < setting["latency_ms"]["p50"] <= setting["latency_ms"]["p99"]
    difference = lexical["measures"]["MRR@10"]["value"] - dense["measures"]["MRR@10"]["value"]
    assert lexical["mrr_against_first"]["difference"] == pytest.approx(difference)
    assert [one["backend"] for one in found["backends"]] == ["flat"]
    assert found["backends"][0]["recall@10"] == 1


def test_progress_goes_to_standard_error(index: Path) -> None:
    result = run(index, "--json", "--backend", "flat", "--mode", "lexical")
    assert result.stderr.splitlines() == [
        "copying the index",
        "making queries",
        "embedding masked passages",
        "building flat",
        "lexical",
    ]


def test_too_small_an_index_is_refused_before_it_is_copied(tmp_path: Path) -> None:
    (tmp_path / "docs").mkdir()
    write_documents(tmp_path / "docs", 19)
    with MiniSearch.open(tmp_path, encoder=an_encoder()) as ms:
        ms.index(tmp_path / "docs", backend="flat")
    (line,) = run(tmp_path / ".minisearch", code=1).stderr.splitlines()
    assert "too small for a self-test: it needs 20 documents" in line
    assert line.endswith("and it has 19: index more")


def test_a_plot_is_a_png(index: Path, tmp_path: Path) -> None:
    pytest.importorskip("matplotlib")
    run(index, "--backend", "flat", "--plot", str(tmp_path / "plot.png"))
    assert (tmp_path / "plot.png").read_bytes().startswith(b"\x89PNG\r\n")


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--mode", "dens"], "unknown mode 'dens': expected hybrid, dense or lexical; did you mean dense?"),
        (["--backend", "anoy"], "unknown backend 'anoy': .* did you mean annoy?"),
        (["-n", str(MIN_QUERIES - 1)], f"'-n': 19 is not in the range x>={MIN_QUERIES}"),
        (["--seed", "-1"], "'--seed': -1 is not in the range x>=0"),
        (["--plot", "plot.pdf"], "--plot writes PNG"),
        (["--plot", "nowhere/plot.png"], "there is no folder nowhere"),
    ],
)
def test_a_wrong_option_is_answered_with_the_usage(index: Path, arguments: list[str], message: str) -> None:
    assert re.search(message.replace("?", r"\?"), usage_error(run(index, *arguments, code=2)))


def test_help_loads_nothing_heavy() -> None:
    assert not loaded_by(RUN.format(["selftest", "--help"])) & (
        HEAVY | {"numpy", "matplotlib", "ir_measures"}
    )
