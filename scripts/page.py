"""The search page in a real browser: take pictures, or measure how soon results follow a key stroke.

    python scripts/page.py --pictures docs/pictures
    python scripts/page.py --index FOLDER

It needs Chromium and playwright, which the extra `test` brings.  The first form indexes data/docs in a
temporary folder.  The second form types queries letter by letter into the page of an index, waits for each
answer, and prints the time from a key stroke to the first new list on the screen, and to the list with marked
sentences.  Beside them stands the time that the API alone takes for the same texts in the same run.
"""

from __future__ import annotations

import json
import os
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Any

from measuring import machine, option_parser, table, timed_s
from playwright.sync_api import Browser, Page, sync_playwright

ROOT = Path(__file__).parents[1]
QUERIES = (
    "how do i retry a failed task",
    "encrypt a file with a password",
    "run a task only on some hosts",
    "what order are variables read in",
)
# Notes the time of each key stroke, and of the next frame in which the list has changed.
WATCH = """() => {
  window.times = [];
  let pressed = null;
  const onInput = () => { pressed = performance.now(); times.push([]); };
  document.getElementById("query").addEventListener("input", onInput);
  new MutationObserver(() => requestAnimationFrame(() => {
    if (pressed !== null && times.at(-1).length < 2) times.at(-1).push(performance.now() - pressed);
  })).observe(document.getElementById("results"), { childList: true });
}"""


@contextmanager
def served(index: Path) -> Iterator[str]:
    """The address of a server of this index, while this lasts."""
    command = [sys.executable, "-m", "minisearch", "serve", "--port", "0", "--index", str(index)]
    with subprocess.Popen(command, stderr=subprocess.PIPE, text=True, env=_environment()) as process:
        assert process.stderr
        address = ""
        for line in process.stderr:
            if line.startswith("Serving on "):
                address = line.split()[2].rstrip("/")
                break
        try:
            yield address
        finally:
            process.terminate()


def main() -> None:
    """Take pictures, or measure."""
    parser = option_parser(__doc__)
    parser.add_argument("--pictures", type=Path, help="the folder for the pictures")
    parser.add_argument("--index", type=Path, help="the index to measure with")
    given = parser.parse_args()
    chromium = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))))
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=chromium, args=["--no-sandbox"])
        if given.pictures:
            take_pictures(browser, given.pictures)
        if given.index:
            measure(browser, given.index)
        browser.close()


def take_pictures(browser: Browser, folder: Path) -> None:
    """The page with a document beside the results in light, and the list on a phone in dark."""
    folder.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory() as temporary:
        shutil.copytree(ROOT / "data" / "docs", Path(temporary) / "docs")
        index = Path(temporary) / ".minisearch"
        command = [sys.executable, "-m", "minisearch", "index", "docs", "--index", str(index)]
        subprocess.run(command, check=True, cwd=temporary, env=_environment())
        with served(index) as address:
            for name, size, scheme in (("page", (1280, 800), "light"), ("page-phone", (390, 760), "dark")):
                options: Any = {"width": size[0], "height": size[1]}
                context = browser.new_context(viewport=options, color_scheme=scheme)  # type: ignore[arg-type]
                page = context.new_page()
                page.goto(address)
                page.wait_for_selector(".start h2")
                page.fill("#query", "why does bread go stale")
                page.wait_for_selector(".result mark")
                if name == "page":
                    page.keyboard.press("ArrowDown")
                    page.keyboard.press("Enter")
                    page.wait_for_selector(".preview mark")
                page.wait_for_timeout(300)
                page.screenshot(path=folder / f"{name}.png")
                context.close()


def _environment() -> dict[str, str]:
    return os.environ | {"PYTHONPATH": str(ROOT)}


def measure(browser: Browser, index: Path) -> None:
    """Print the times."""
    with served(index) as address:
        api = [timed_s(partial(ask, address, text)) * 1_000 for text in typed()]
        page = browser.new_context(viewport={"width": 1280, "height": 800}).new_page()
        page.goto(address)
        page.wait_for_selector(".start h2")
        page.evaluate(WATCH)
        times = [stroke(page, text) for text in typed()]
    first, marked = ([one[place] for one in times if len(one) > place] for place in (0, 1))
    rows = [
        [what, f"{statistics.median(ms):.0f} ms", f"{statistics.quantiles(ms, n=20)[-1]:.0f} ms"]
        for what, ms in (("the API alone", api), ("first list", first), ("with marked sentences", marked))
    ]
    print(machine())
    print(f"{len(times)} key strokes")
    print(table(["From a key stroke to", "median", "95th percentile"], rows))


def typed() -> list[str]:
    """The texts in the field while the queries are typed, from the third letter on."""
    return [query[:end] for query in QUERIES for end in range(3, len(query) + 1) if query[end - 1] != " "]


def ask(address: str, text: str) -> None:
    """A search without evidence, by the API."""
    body = json.dumps({"query": text, "k": 20, "evidence": False}).encode()
    headers = {"Content-Type": "application/json"}
    request = urllib.request.Request(f"{address}/v1/search", body, headers)  # noqa: S310 - our own server
    with urllib.request.urlopen(request) as answer:  # noqa: S310
        answer.read()


def stroke(page: Page, text: str) -> list[float]:
    """Type the last letter of a text: milliseconds to the first list, and to that with marked sentences."""
    page.evaluate("text => { document.getElementById('query').value = text; }", text[:-1])
    page.locator("#query").press_sequentially(text[-1])
    deadline = time.monotonic() + 5
    times: list[float] = []
    while len(times) < 2 and time.monotonic() < deadline:
        times = page.evaluate("times.at(-1) ?? []")
        time.sleep(0.02)
    return times


if __name__ == "__main__":
    main()
