"""Plots are PNG files, and a missing library is named with the command that installs it."""

from __future__ import annotations

import builtins
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest
from matplotlib.image import imread

from minisearch.errors import InputError
from minisearch.evaluation.measures import Evaluation, evaluate_settings
from minisearch.evaluation.plots import plot_evaluations
from tests.evaluation.test_measures import JUDGEMENTS, setting


@pytest.fixture
def evaluations() -> list[Evaluation]:
    settings = [setting("hybrid", 10), setting("$dense_", 0), setting("run", 5, is_timed=False)]
    return evaluate_settings(settings, JUDGEMENTS)


def test_a_plot_is_a_png_wide_enough_for_both_panels(evaluations: list[Evaluation], tmp_path: Path) -> None:
    plot_evaluations(evaluations, tmp_path / "both.png", title="costs $5 or $6")
    plot_evaluations(evaluations[2:], tmp_path / "one.png", title="one")
    assert (tmp_path / "both.png").read_bytes().startswith(b"\x89PNG")
    both, one = (imread(tmp_path / name) for name in ("both.png", "one.png"))  # (height, width, 4)
    assert both.shape[1] == 2 * one.shape[1]
    assert len(np.unique(both.reshape(-1, 4), axis=0)) > 4  # three blues, grey and white


def test_without_matplotlib_the_cure_is_named(
    evaluations: list[Evaluation], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    original = builtins.__import__

    def without(name: str, *arguments: object) -> ModuleType:
        if name.startswith("matplotlib"):
            raise ImportError(name)
        return original(name, *arguments)

    monkeypatch.setattr(builtins, "__import__", without)
    with pytest.raises(InputError, match=r"pip install 'minisearch\[eval\]'"):
        plot_evaluations(evaluations, tmp_path / "a.png", title="")
