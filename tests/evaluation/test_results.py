"""Settings are measured, compared with the first, and drawn."""

from __future__ import annotations

import builtins
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest
from matplotlib.image import imread

from minisearch.errors import InputError
from minisearch.evaluation.plot import plot_results
from minisearch.evaluation.results import Result, Setting, measure
from minisearch.evaluation.runs import RankedDocuments
from minisearch.evaluation.significance import compare

JUDGEMENTS = {f"q{i}": {"a": 1} for i in range(12)}
RIGHT, WRONG = RankedDocuments(("a", "b"), (2.0, 1.0)), RankedDocuments(("b", "a"), (2.0, 1.0))


def setting(name: str, n_right: int, *, is_timed: bool = True) -> Setting:
    rankings = {query: RIGHT if i < n_right else WRONG for i, query in enumerate(JUDGEMENTS)}
    return Setting(name, rankings, [0.01 * (i + 1) for i in range(12)] if is_timed else ())


def test_every_setting_is_compared_with_the_first_query_by_query() -> None:
    first, second, third = measure([setting("a", 4), setting("b", 12), setting("c", 4)], JUDGEMENTS)
    assert first.against_first is None
    assert (first.means["MRR@10"], second.means["MRR@10"]) == (pytest.approx((4 + 8 / 2) / 12), 1.0)
    assert second.against_first is not None
    assert third.against_first is not None
    assert second.against_first["MRR@10"] == compare([1.0] * 4 + [0.5] * 8, [1.0] * 12)
    assert second.against_first["MRR@10"].p == 2 / 2**8
    assert third.against_first["MRR@10"].difference == 0
    assert third.against_first["MRR@10"].p == 1


def test_the_order_in_which_a_run_has_its_queries_changes_nothing() -> None:
    turned = Setting("b", dict(reversed(setting("b", 6).rankings.items())))
    (_, straight), (_, found) = (
        measure([setting("a", 4), other], JUDGEMENTS) for other in (setting("b", 6), turned)
    )
    assert found.against_first == straight.against_first


def test_what_was_not_timed_has_no_latency() -> None:
    timed, untimed = measure([setting("a", 4), setting("b", 4, is_timed=False)], JUDGEMENTS)
    assert timed.latency_ms is not None
    assert timed.latency_ms["p50"] == pytest.approx(65)
    assert untimed.latency_ms is None


@pytest.fixture
def results() -> list[Result]:
    settings = [setting("hybrid", 10), setting("$dense_", 0), setting("run", 5, is_timed=False)]
    return measure(settings, JUDGEMENTS)


def test_a_plot_is_a_png_wide_enough_for_both_panels(results: list[Result], tmp_path: Path) -> None:
    plot_results(results, tmp_path / "both.png", title="costs $5 or $6")
    plot_results(results[2:], tmp_path / "one.png", title="one")
    assert (tmp_path / "both.png").read_bytes().startswith(b"\x89PNG")
    both, one = (imread(tmp_path / name) for name in ("both.png", "one.png"))  # (height, width, 4)
    assert both.shape[1] == 2 * one.shape[1]
    assert len(np.unique(both.reshape(-1, 4), axis=0)) > 4  # three blues, grey and white


def test_without_matplotlib_the_cure_is_named(
    results: list[Result], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    original = builtins.__import__

    def without(name: str, *arguments: object) -> ModuleType:
        if name.startswith("matplotlib"):
            raise ImportError(name)
        return original(name, *arguments)

    monkeypatch.setattr(builtins, "__import__", without)
    with pytest.raises(InputError, match=r"pip install 'minisearch\[eval\]'"):
        plot_results(results, tmp_path / "a.png", title="")
