"""Every notebook runs from its first cell to its last; the results in it are small and name no folder."""

from __future__ import annotations

import re
from pathlib import Path

import nbformat
import pytest
from nbclient import NotebookClient

FOLDER = Path(__file__).parents[1] / "notebooks"
NOTEBOOKS = sorted(FOLDER.glob("*.ipynb"))
MAX_PNG_BYTES = 60_000
ABSOLUTE_PATH = re.compile(r"(?<![\w.:/<-])/(?:home|tmp|root|work|Users|private|var|usr|opt)/|[A-Z]:\\\\")

each_notebook = pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)


@each_notebook
def test_a_notebook_runs(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OMP_NUM_THREADS", "1")  # two threads beside another test take three times as long
    notebook = nbformat.read(path, as_version=4)
    NotebookClient(notebook, timeout=None, resources={"metadata": {"path": str(path.parent)}}).execute()


@each_notebook
def test_a_notebook_has_its_results(path: Path) -> None:
    cells = [cell for cell in nbformat.read(path, as_version=4).cells if cell.cell_type == "code"]
    counts = [cell.execution_count for cell in cells]
    assert counts == list(range(1, len(cells) + 1)), "run it whole and save it"
    outputs = [output for cell in cells for output in cell.outputs]
    assert outputs and all(output.output_type != "error" for output in outputs)
    pictures = [output.data["image/png"] for output in outputs if "image/png" in output.get("data", {})]
    assert all(len(picture) * 3 / 4 <= MAX_PNG_BYTES for picture in pictures), "make the figure smaller"
    texts = [output.get("text", "") + str(output.get("data", {}).get("text/plain", "")) for output in outputs]
    assert not [found for text in texts if (found := ABSOLUTE_PATH.search(text))]


def test_every_notebook_is_listed() -> None:
    linked = re.findall(r"^\| \[(.+?)\]\(\1\)", (FOLDER / "README.md").read_text(), re.MULTILINE)
    assert sorted(linked) == [path.name for path in NOTEBOOKS]
