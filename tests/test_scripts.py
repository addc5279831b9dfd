"""The scripts that measure: what they cut, count and print is right, and a worker that fails says so."""

from __future__ import annotations

import asyncio
import io
import random
import subprocess
import sys
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from importlib import import_module
from pathlib import Path
from types import ModuleType
from typing import ClassVar

import numpy as np
import pytest

from minisearch.search.evidence import best_sentences

SCRIPTS = Path(__file__).parents[1] / "scripts"


@pytest.fixture(autouse=True)
def scripts_on_the_path(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(str(SCRIPTS))


@pytest.fixture
def embedding() -> ModuleType:
    return import_module("embedding")


def test_a_text_is_a_run_of_consecutive_words_that_fills_the_tokens_drawn() -> None:
    random_ = random.Random(0)
    words = [f"w{i}" for i in range(500)]
    counts = [random_.randint(1, 4) for _ in words]
    texts = import_module("sample_texts").cut(words, counts, 20, 30, n=200)
    assert len(texts) == 200
    for text in texts:
        run = text.split()
        first = words.index(run[0])
        assert run == words[first : first + len(run)]
        # [CLS] and [SEP] count too, and the longest next word could lack 3 tokens of room.
        assert 20 - 3 <= sum(counts[first : first + len(run)]) + 2 <= 30


def test_the_same_words_give_the_same_texts() -> None:
    cut = import_module("sample_texts").cut
    words = [f"w{i}" for i in range(100)]
    assert cut(words, [1] * 100, 8, 20, n=9) == cut(words, [1] * 100, 8, 20, n=9)
    assert cut(words, [1] * 100, 8, 20, n=9, seed=1) != cut(words, [1] * 100, 8, 20, n=9)


def test_a_ratio_compares_each_round_with_itself(embedding: ModuleType) -> None:
    # Medians of each side would give 30 / 10 = 3; the rounds say 2, 3 and 1.5.
    assert embedding.ratio([20.0, 30.0, 60.0], [10.0, 10.0, 40.0]) == 2.0


def test_the_speed_table_shows_tokens_a_second_and_ratios_to_the_baselines(embedding: ModuleType) -> None:
    ours = embedding.Kind("minisearch", "auto")
    seconds = {embedding.PLAIN: [4.0, 4.0, 4.0], ours: [2.0, 1.0, 2.0]}
    assert embedding.speed_table("long", seconds, 8_000, is_single=False).splitlines()[1:] == [
        "| long | tok/s | × sentence-transformers float32 |",
        "| --- | --- | --- |",
        "| sentence-transformers float32 | 2,000 | 1.00 |",
        "| minisearch auto | 4,000 | 2.00 |",
    ]
    assert "| minisearch auto | 2000.00 | 2.00 |" in embedding.speed_table(
        "query", seconds, 0, is_single=True
    )


def test_cosines_do_not_depend_on_length(embedding: ModuleType) -> None:
    found = embedding.cosines(np.array([[3.0, 4.0], [0.0, 9.0]]), np.array([[1.0, 0.0], [0.0, 2.0]]))
    assert found.tolist() == pytest.approx([0.6, 1.0])


def test_the_models_arithmetic_is_counted_as_pytorch_counts_it(embedding: ModuleType) -> None:
    import torch
    from torch.nn.attention import SDPBackend, sdpa_kernel
    from torch.utils.flop_counter import FlopCounterMode

    from minisearch.minilm.settings import MiniLMConfig
    from minisearch.minilm.transformer import MiniLMModel

    config = MiniLMConfig(vocab_size=50, hidden_size=32, num_attention_heads=4, intermediate_size=64)
    with FlopCounterMode(display=False) as counter, sdpa_kernel(SDPBackend.MATH), torch.no_grad():
        MiniLMModel(config).eval()(torch.ones(1, 10, dtype=torch.int64))
    assert embedding.flops_per_token(config, 10) * 10 == counter.get_total_flops()


def test_the_worker_answers_a_line_a_request_and_saves_what_it_encoded(tmp_path: Path) -> None:
    texts, answers = {"long": ["a", "bb"]}, io.StringIO()
    requests = ["encode long\n", "single long\n", "peak\n", f"save {tmp_path / 'v.npz'}\n"]
    serve = import_module("encoder_worker").serve
    serve(lambda texts: np.array([[len(text)] for text in texts]), texts, requests, answers)
    *numbers, done = answers.getvalue().splitlines()
    assert all(float(number) > 0 for number in numbers)
    assert done == "done"
    assert np.load(tmp_path / "v.npz")["long"].tolist() == [[1], [2]]


def test_a_worker_that_fails_ends_the_run(embedding: ModuleType) -> None:
    with pytest.raises(SystemExit, match="OpenVINO bfloat16 ended with 3"):
        embedding.Worker("OpenVINO bfloat16", sys.executable, "-c", "raise SystemExit(3)")


def test_a_kind_that_is_not_there_is_refused_with_those_that_are(
    embedding: ModuleType, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit):
        embedding.parse(["--kinds", "OpenVINO bfloat16"])  # needs --openvino
    assert "only sentence-transformers float32, " in capsys.readouterr().err
    assert embedding.parse(["--kinds", "minisearch int8"]).kinds == [("minisearch", "int8", "cpu")]


def test_the_processes_that_start_others_load_no_model() -> None:
    # A child's peak memory is never below its parent's, so a large parent would be what is reported.
    program = "import sys, embedding, figures, minisearch.stores.local; print('torch' in sys.modules)"
    finished = subprocess.run(
        [sys.executable, "-c", program], cwd=SCRIPTS, capture_output=True, text=True, check=True
    )
    assert finished.stdout == "False\n"


@pytest.mark.parametrize(
    "name",
    [
        "code_chunks.py",
        "cold_query.py",
        "embedding.py",
        "fidelity.py",
        "figures.py",
        "fusion.py",
        "house.py",
        "latency.py",
        "rerank.py",
    ],
)
def test_help_says_how_to_call_it(name: str) -> None:
    finished = subprocess.run(
        [sys.executable, SCRIPTS / name, "--help"], capture_output=True, text=True, check=True
    )
    assert f"python scripts/{name}" in finished.stdout


def test_docstrings_are_taken_out_line_for_line() -> None:
    import code_chunks

    source = (
        'def f():\n    """Does what it has to do. More."""\n    return 1\n\nclass A:\n    "Doc."\n    x = 1\n'
    )
    without, found = code_chunks.without_docstrings(source)
    assert without == "def f():\n\n    return 1\n\nclass A:\n\n    x = 1\n"
    assert found == [(1, "Does what it has to do.")]
    assert code_chunks.reciprocal([False, False, True]) == 1 / 3
    assert code_chunks.reciprocal([False] * 10 + [True]) == 0


def write_package(tree: Path, modules: dict[str, str]) -> None:
    (tree / "minisearch").mkdir()
    for name, source in modules.items():
        (tree / "minisearch" / f"{name}.py").write_text(source)


def test_import_cycles_are_found_through_functions_and_apart_through_types(tmp_path: Path) -> None:
    house = import_module("house")
    write_package(
        tmp_path,
        {
            "__init__": "from minisearch.a import f\n",
            "a": "def f():\n    from minisearch.b import g\n",
            "b": "import minisearch.c\n",
            "c": "from minisearch import a, d\n",
            "d": "if TYPE_CHECKING:\n    from minisearch.e import E\n",
            "e": "from minisearch.d import D\n",
        },
    )
    figures = dict(house.shape(tmp_path))
    assert figures["import cycles"] == "minisearch.a, minisearch.b, minisearch.c"
    assert figures["import cycles, type checking included"].endswith("; minisearch.d, minisearch.e")
    assert (figures["files"], figures["lines"]) == ("6", "8")


def test_executed_files_are_those_of_the_tree_with_functions_called_apart(tmp_path: Path) -> None:
    house = import_module("house")
    write_package(
        tmp_path,
        {
            "__init__": "",
            "__main__": "from minisearch import imported, called\ncalled.f()\n",
            "called": "def f():\n    pass\n",
            "imported": "class C:\n    x = 1\n",
            "unused": "",
        },
    )
    called, executed = house.executed_files(tmp_path, [], tmp_path / "report.json")
    assert called == ["called.py"]
    assert executed == ["__init__.py", "__main__.py", "called.py", "imported.py"]


def test_the_marks_hold_the_answers_as_often_as_is_claimed() -> None:
    script = import_module("evidence")
    pairs = script.read_pairs(script.PAIRS)
    right = {"fit": [], "held out": [], "fresh": []}
    for pair in pairs:
        # Without word vectors, which need a checkpoint.
        ((start, end, _),) = best_sentences(pair.query, [pair.passage], headings=[pair.heading])
        right[pair.split].append(script.is_right(pair, (start, end)))
    assert np.mean(right["fit"]) > 0.70
    assert np.mean(right["held out"]) > 0.71
    assert np.mean(right["fresh"]) > 0.74


def test_a_mark_is_right_if_it_holds_a_whole_answer_and_is_not_too_long() -> None:
    script = import_module("evidence")
    passage = "Wait. It takes\nsix days. " + "And so on. " * 40
    pair = script.Pair("how long", passage, "", "x", "fit", ("takes six days.",))
    for start, end, is_right in (
        (6, 24, True),
        (6, 23, True),
        (6, 20, False),
        (0, 400, True),
        (0, 430, False),
    ):
        assert script.is_right(pair, (start, end)) == is_right, (start, end)


class Busy(BaseHTTPRequestHandler):
    """Answers every third request with 503."""

    protocol_version = "HTTP/1.1"
    bodies: ClassVar[list[bytes]] = []

    def do_POST(self) -> None:
        Busy.bodies.append(self.rfile.read(int(self.headers["content-length"])))
        self.send_response_only(503 if len(Busy.bodies) % 3 == 0 else 200, "said")
        self.send_header("content-length", "2")
        self.end_headers()
        self.wfile.write(b"{}")


def test_under_load_every_answer_counts_and_one_that_is_not_200_is_an_error() -> None:
    load = import_module("load")
    load.Client.queries = ["oven"]
    with ThreadingHTTPServer(("127.0.0.1", 0), Busy) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        port = server.server_address[1]
        for loop, more in ((load.closed_loop, ()), (load.open_loop, (500.0,))):
            Busy.bodies = []
            times_s, errors, rate = asyncio.run(loop(port, 4, 0.1, *more))
            assert set(Busy.bodies) == {b'{"query": "oven"}'}
            assert (len(times_s), len(errors)) == (len(Busy.bodies), len(Busy.bodies) // 3)
            assert set(errors) <= {"HTTP/1.1 503 said"}
            assert rate > 0
        server.shutdown()
        thread.join()


def test_the_rank_correlation_is_that_of_scipy() -> None:
    from scipy.stats import spearmanr

    generator = np.random.default_rng(0)
    for _ in range(5):
        a, b = generator.integers(0, 6, (2, 40)).tolist()  # with many ties
        assert import_module("distill").spearman(a, b) == pytest.approx(spearmanr(a, b).statistic)


def test_words_lost_and_invented_are_counted_by_format(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    fidelity = import_module("fidelity")
    (tmp_path / "a.csv").write_text("Name,Colour\nAda,red\nBen,blue\n")
    (tmp_path / "b.md").write_text("One two, two three.")
    (tmp_path / "c.epub").write_bytes(b"no book")
    monkeypatch.setitem(fidelity.READERS, ".md", lambda _: "One two four, one-five")
    assert fidelity.main([str(tmp_path), "--files"]) == 0
    printed = capsys.readouterr().out
    assert "| CSV | 1 | 6 | 0.00% | 0.00% |  |" in printed
    assert "| MD | 1 | 4 | 50.00% | 25.00% | b.md (2) |" in printed
    assert "b.md: 2 of 4 words lost (four onefive), 1 invented (three)" in printed
    assert "not read by its reader (BadZipFile)" in printed


def test_a_format_without_its_reader_is_named(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    fidelity = import_module("fidelity")
    (tmp_path / "a.docx").write_bytes(b"")
    monkeypatch.setitem(sys.modules, "docx", None)
    assert fidelity.main([str(tmp_path)]) == 0
    assert "DOCX is not compared: docx is not installed" in capsys.readouterr().out


def test_a_file_with_other_letters_is_garbled_unless_it_has_a_note() -> None:
    difference = import_module("fidelity").difference
    path, right, wrong = Path("a.txt"), "Größe und Länge", "Gr\ufffd\ufffde und L\ufffdnge"
    assert difference(path, right, wrong).remark == "garbled without a note"
    assert not difference(path, right, wrong, has_note=True).remark
    assert not difference(path, right, "und Größe, Länge").remark
