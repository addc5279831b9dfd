"""TREC run files: others read what we write as it was meant, and we read theirs as trec_eval does."""

from __future__ import annotations

from pathlib import Path

import ir_measures
import numpy as np
import pytest

from minisearch.errors import InputError
from minisearch.evaluation.measures import means, scores_by_query
from minisearch.evaluation.runs import RankedDocuments, descending, read_run, write_run


def write(path: Path, text: str) -> Path:
    path.write_text(text)
    return path


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("", "is empty: expected lines of: query Q0 document rank score tag"),
        ("q1 Q0 d1 1 2.5\n", "line 1: expected 6 columns"),
        ("q1 Q0 d1 1 2.5 us\n\nq1 Q0 d2 2 high us\n", "line 3: expected a number as score, got 'high'"),
        ("q1 Q0 d1 1 nan us\n", "line 1: expected a number as score, got 'nan'"),
        ("q1 Q0 d1 1 2 us\nq1 Q0 d1 2 1 us\n", "line 2: d1 is ranked twice for query q1"),
    ],
)
def test_a_line_that_is_none_is_refused_with_its_place(tmp_path: Path, text: str, expected: str) -> None:
    with pytest.raises(InputError) as caught:
        read_run(write(tmp_path / "a.run", text))
    assert expected in str(caught.value)
    assert str(tmp_path / "a.run") in str(caught.value)


def test_a_file_that_is_missing_or_no_text_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"cannot read .*nowhere: No such file"):
        read_run(tmp_path / "nowhere")
    (tmp_path / "bytes").write_bytes(b"q1 Q0 caf\xe9 1 1 us\n")
    with pytest.raises(InputError, match="bytes is not UTF-8"):
        read_run(tmp_path / "bytes")


def test_the_scores_decide_and_not_the_ranks_and_ties_go_to_the_greater_id(tmp_path: Path) -> None:
    text = "q1 Q0 low 1 1e-3 us\nq1\tQ0\ta 2 5 us\nq1 Q0 b 3 5.0 us\nq2 Q0 x 9 -inf us\n"
    assert read_run(write(tmp_path / "a.run", text)) == {
        "q1": RankedDocuments(("b", "a", "low"), (5.0, 5.0, 0.001)),
        "q2": RankedDocuments(("x",), (-np.inf,)),
    }


def test_a_run_by_others_scores_as_ir_measures_says_itself(tmp_path: Path) -> None:
    generator = np.random.default_rng(3)
    lines, judgements = [], {}
    for query in map(str, range(20)):
        documents = generator.permutation(50)[:30].tolist()
        tied = generator.integers(0, 10, 30).tolist()
        lines += [f"{query} Q0 d{d} 0 {score} us\n" for d, score in zip(documents, tied, strict=True)]
        judgements[query] = {f"d{d}": int(generator.integers(1, 4)) for d in generator.permutation(50)[:9]}
    path = write(tmp_path / "tied.run", "".join(lines))
    theirs = ir_measures.calc_aggregate(
        [ir_measures.nDCG @ 10, ir_measures.AP], judgements, list(ir_measures.read_trec_run(str(path)))
    )
    ours = means(scores_by_query(read_run(path), judgements))
    assert ours["nDCG@10"] == pytest.approx(theirs[ir_measures.nDCG @ 10])
    assert ours["MAP"] == pytest.approx(theirs[ir_measures.AP])


@pytest.mark.parametrize(
    "scores",
    [
        (0.9, 0.5, 0.1),
        (0.5, 0.5, 0.5),
        (0.1, 0.5, 0.9),
        (0.0, 0.0, -0.0),
        (1.0, 1.0 - 1e-12, 1.0 - 2e-12),  # the same in the 32 bits of trec_eval
        (-11.5, -11.5, 3e38),
    ],
)
def test_a_written_run_keeps_its_order_whatever_the_scores(tmp_path: Path, scores: tuple[float, ...]) -> None:
    ids = ("b", "a", "c")
    write_run(tmp_path / "a.run", {"q": RankedDocuments(ids, scores)}, "us")
    assert read_run(tmp_path / "a.run")["q"].ids == ids
    theirs = {row.doc_id: np.float32(row.score) for row in ir_measures.read_trec_run(str(tmp_path / "a.run"))}
    assert theirs["b"] > theirs["a"] > theirs["c"]


def test_scores_that_tell_the_order_are_written_as_they_are() -> None:
    assert descending((0.75, 0.5, -2.0)) == [0.75, 0.5, -2.0]


def test_a_written_line_has_six_columns_even_where_ids_hold_spaces(tmp_path: Path) -> None:
    write_run(tmp_path / "a.run", {"q 1": RankedDocuments(("my file.md",), (0.5,))}, "dense bi")
    assert (tmp_path / "a.run").read_text() == "q%201 Q0 my%20file.md 1 0.5 dense%20bi\n"


def test_known_ids_with_spaces_come_back_as_they_are(tmp_path: Path) -> None:
    rankings = {"q 1": RankedDocuments(("my file.md", "my%20file.txt"), (0.5, 0.25))}
    write_run(tmp_path / "a.run", rankings, "dense")
    assert read_run(tmp_path / "a.run", ids=["q 1", "my file.md", "my%20file.txt"]) == rankings
    assert list(read_run(tmp_path / "a.run")) == ["q%201"]
