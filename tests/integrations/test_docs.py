"""The examples of docs/integrations.md run, each with the real model."""

from __future__ import annotations

import re
import shutil
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs" / "integrations.md").read_text(encoding="utf-8")
EXAMPLES = re.findall(r"^## (\w+)\n\n```python\n(.*?)^```", PAGE, re.DOTALL | re.MULTILINE)
LIBRARIES = {"LangChain": "langchain_core", "LlamaIndex": "llama_index.core", "Haystack": "haystack"}


def test_every_framework_has_an_example_of_about_ten_lines() -> None:
    assert [framework for framework, _ in EXAMPLES] == list(LIBRARIES)
    for framework, example in EXAMPLES:
        assert len([line for line in example.splitlines() if line and "import" not in line]) <= 10, framework


@pytest.mark.parametrize(("framework", "example"), EXAMPLES, ids=[framework for framework, _ in EXAMPLES])
def test_the_example_runs_as_it_stands(
    framework: str,
    example: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    pytest.importorskip(LIBRARIES[framework])
    shutil.copytree(ROOT / "data" / "docs" / "programming", tmp_path / "docs")
    monkeypatch.chdir(tmp_path)
    exec(compile(example, f"docs/integrations.md, {framework}", "exec"), {})
    printed = capsys.readouterr().out
    assert printed.startswith(("faq-7 docs/retry.py:", "Hold reset for ten seconds. docs/retry.py:"))
