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
from minisearch.evaluation.plots import COLOURS, plot_evaluations
from tests.evaluation.test_measures import JUDGEMENTS, setting


@pytest.fixture
def evaluations() -> list[Evaluation]:
    settings = [setting("hybrid", 10), setting("$dense_", 0), setting("run", 5, is_timed=False)]
    return evaluate_settings(settings, JUDGEMENTS)


def test_a_plot_is_a_png_with_a_colour_for_each_setting(
    evaluations: list[Evaluation], tmp_path: Path
) -> None:
    plot_evaluations(evaluations, tmp_path / "all.png", title="costs $5 or $6")
    plot_evaluations(evaluations[2:], tmp_path / "untimed.png", title="one")
    assert (tmp_path / "all.png").read_bytes().startswith(b"\x89PNG")
    for name, n_colours in (("all.png", 3), ("untimed.png", 1)):
        pixels = np.rint(imread(tmp_path / name)[..., :3].reshape(-1, 3) * 255)  # RGB
        found = {"#" + bytes(pixel).hex() for pixel in np.unique(pixels, axis=0).astype(np.uint8)}
        assert found.issuperset(COLOURS[:n_colours])
        assert not found.intersection(COLOURS[n_colours:-1])  # the last is black, as text is


def test_without_matplotlib_the_cure_is_named(
    evaluations: list[Evaluation], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    original = builtins.__import__

    def without(name: str, *arguments: object) -> ModuleType:
        if name.startswith("matplotlib"):
            raise ImportError(name)
        return original(name, *arguments)

    monkeypatch.setattr(builtins, "__import__", without)
    with pytest.raises(InputError, match=r"pip install 'minisearch-local\[eval\]'"):
        plot_evaluations(evaluations, tmp_path / "a.png", title="")
