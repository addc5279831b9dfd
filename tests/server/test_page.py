"""The search page: its endpoints, its files, and the page itself in a real browser."""

from __future__ import annotations

import base64
import os
import re
import shutil
import socket
import struct
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("starlette")
import uvicorn

from minisearch import MiniSearch
from minisearch.server import page as page_files
from minisearch.server.http import make_app
from tests.fakes import HashingEncoder
from tests.parsers.made_files import pdf
from tests.server.asgi import ask

HOSTILE = (
    "# <img src=x onerror=hacked()> oven\n\n<script>hacked()</script> The oven is hot. "
    "[press](javascript:hacked()) ![p](http://evil.example/p.png) <b onclick=hacked()>b</b>\n\n"
    "```html\n<script>hacked()</script>\n```\n\n| a | b |\n|---|---|\n| <i onclick=hacked()>1</i> | 2 |\n"
)
FILES: dict[str, str | bytes] = {
    "guides/bread.md": "# Bread\n\n## Baking\n\nBake the loaf at 240 degrees for *forty* minutes.\n\n"
    "- Knead the dough.\n- Let the dough rise.\n\n## Storage\n\nKeep bread in a box.\n",
    "guides/deep/router.md": "# Router\n\nHold the reset button for ten seconds.\n",
    "manual.rst": "Kettle\n======\n\n.. _kettle:\n\n"
    "Descale the kettle with vinegar::\n\n    pour(vinegar)\n    wait()\n",
    "code/heat.py": "import os\n\n\ndef heat(oven):\n    # preheat slowly\n    return oven.warm('slow')\n",
    "paper.pdf": pdf("The harbour lies north.\nLighthouse lamps burn oil.", "Second page about tides."),
    "prices.csv": 'Item,Price,Shop\nLentils,2.40,Corner\nRice,3.10,Market\n"Tea, green",5.00,Market\n',
    "hostile.md": HOSTILE,
}


@pytest.fixture(scope="module")
def notes(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("page") / "no[t]es"
    for name, content in FILES.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content if isinstance(content, bytes) else content.encode())
    os.utime(folder / "manual.rst", (0, 946_684_800))  # 2000-01-01
    return folder


@pytest.fixture(scope="module")
def engine(notes: Path) -> Iterator[MiniSearch]:
    with MiniSearch.open(notes, encoder=HashingEncoder()) as ms:
        ms.index(notes)
        ms.add([{"id": "memo-1", "text": "A memo about the kettle."}])
        yield ms


@pytest.fixture(scope="module")
def app(engine: MiniSearch) -> Any:
    return make_app(engine)


def found_paths(app: Any, **body: Any) -> set[str]:
    answer = ask(app, "/v1/search", {"query": "oven bread router kettle harbour", "k": 50, **body})
    assert answer.code == 200, answer.message
    return {Path(hit["path"]).name for hit in answer.json["results"]}


# --- endpoints -------------------------------------------------------------------------------------------


def test_a_preview_joins_to_what_get_returns(app: Any, engine: MiniSearch, notes: Path) -> None:
    shown = ask(app, "/v1/preview", {"path": str(notes / "guides/bread.md")}).json
    text = "".join(part["gap"] + part["text"] for part in shown["parts"])
    assert text.strip() == engine.get(notes / "guides/bread.md").text
    assert (shown["title"], shown["format"], shown["language"]) == ("Bread", "markdown", "markdown")
    assert shown["file"] == str(notes / "guides/bread.md")
    assert not shown["has_pictures"]


def test_a_preview_of_a_long_document_is_the_part_around_a_passage(tmp_path: Path) -> None:
    text = "\n\n".join(f"## Part {n}\n\nThis is part number {n} of the long story." for n in range(200))
    (tmp_path / "long.md").write_text(text)
    with MiniSearch.open(tmp_path, encoder=HashingEncoder()) as ms:
        ms.index(tmp_path)
        app = make_app(ms)
        line = text[: text.index("## Part 100\n")].count("\n") + 1
        shown = ask(app, "/v1/preview", {"path": str(tmp_path / "long.md"), "line": line}).json
        assert len(shown["parts"]) == 61
        assert "part number 100 of" in shown["parts"][30]["text"]
        assert (shown["n_before"], shown["n_after"]) == (70, 200 - 70 - 61)
        by_id = {"path": str(tmp_path / "long.md"), "chunk_id": shown["parts"][30]["chunk_id"]}
        assert ask(app, "/v1/preview", by_id).json == shown


def test_a_document_from_memory_has_no_file(app: Any) -> None:
    assert ask(app, "/v1/preview", {"path": "memo-1"}).json["file"] == ""


@pytest.mark.parametrize("path", ["/v1/preview", "/v1/picture", "/v1/similar"])
def test_only_documents_of_the_index_are_read(app: Any, path: str) -> None:
    body = {"path": "/etc/passwd", "page": 1} if path == "/v1/picture" else {"path": "/etc/passwd"}
    answer = ask(app, path, body)
    assert answer.code == 400
    assert "/etc/passwd is not in the index" in answer.message


def test_a_picture_has_a_box_around_each_line_of_the_text(app: Any, notes: Path) -> None:
    """The page is 612 by 792 points; the lines stand at x = 72, their baselines 72 and 86 from the top."""
    body = {
        "path": str(notes / "paper.pdf"),
        "page": 1,
        "width": 612,
        "text": "harbour lies north. Lighthouse",
    }
    drawn = ask(app, "/v1/picture", body).json
    png = base64.b64decode(drawn["png"])
    assert struct.unpack(">II", png[16:24]) == (612, 792) == (drawn["width"], drawn["height"])
    assert drawn["n_pages"] == 2
    (first, second) = drawn["boxes"]
    for (_, top, width, height), baseline in ((first, 72), (second, 86)):
        assert top * 792 < baseline - 6
        assert baseline - 1 < (top + height) * 792 < baseline + 6
        assert width * 612 > 50
    assert second[0] * 612 == pytest.approx(72, abs=1.5)
    assert first[0] * 612 > 85, "without the word before"
    assert ask(app, "/v1/picture", {**body, "text": "nowhere on this page at all"}).json["boxes"] == []


def test_a_page_that_is_not_there_is_an_error(app: Any, notes: Path) -> None:
    answer = ask(app, "/v1/picture", {"path": str(notes / "paper.pdf"), "page": 3})
    assert (answer.code, "it has 2 pages" in answer.message) == (400, True)
    answer = ask(app, "/v1/picture", {"path": str(notes / "manual.rst"), "page": 1})
    assert (answer.code, "is no PDF" in answer.message) == (400, True)


def test_facets_count_documents_by_folder_and_kind(app: Any, notes: Path) -> None:
    found = ask(app, "/v1/facets").json
    assert {one["name"]: one["n"] for one in found["folders"]} == {"guides": 2, "code": 1, "guides/deep": 1}
    kinds = {one["name"]: one["n"] for one in found["extensions"]}
    assert kinds == {"md": 3, "rst": 1, "py": 1, "pdf": 1, "csv": 1}
    assert found["base"] == f"{notes}/"


def test_the_value_of_a_facet_is_a_filter(app: Any) -> None:
    """Also where the name of the folder has signs of patterns."""
    folders = {one["name"]: one["value"] for one in ask(app, "/v1/facets").json["folders"]}
    assert found_paths(app, paths=[folders["guides"]]) == {"bread.md", "router.md"}
    assert found_paths(app, paths=[folders["guides/deep"], folders["code"]]) == {"router.md", "heat.py"}
    assert found_paths(app, extensions=["rst", "pdf"]) == {"manual.rst", "paper.pdf"}
    assert found_paths(app, paths=[folders["guides"]], extensions=["py"]) == set()
    assert found_paths(app, before="2001-01-01") == {"manual.rst"}
    assert "manual.rst" not in found_paths(app, since="2001-01-01")


def test_a_wrong_date_is_one_clear_error(app: Any) -> None:
    answer = ask(app, "/v1/search", {"query": "a", "since": "yesterday"})
    assert (answer.code, answer.message) == (
        400,
        "since is 'yesterday': expected an ISO date, such as 2024-01-31",
    )


def test_literal_reads_no_operators(app: Any) -> None:
    assert ask(app, "/v1/search", {"query": "bread -oven"}).json["query"]["excluded"] == ["oven"]
    found = ask(app, "/v1/search", {"query": "bread -oven", "literal": True}).json
    assert (found["query"]["text"], found["query"]["excluded"]) == ("bread -oven", [])


def test_similar_is_that_of_the_engine(app: Any, engine: MiniSearch, notes: Path) -> None:
    path = str(notes / "guides/bread.md")
    answer = ask(app, "/v1/similar", {"path": path, "line": 5, "k": 3}).json
    assert [hit["chunk_id"] for hit in answer["results"]] == [
        hit.chunk_id for hit in engine.similar(path, 5, 3)
    ]


# --- the files of the page -------------------------------------------------------------------------------


def test_each_file_is_served_with_a_strict_policy(app: Any) -> None:
    for path in page_files.PATHS:
        answer = ask(app, path)
        assert answer.code == 200
        policy = answer.headers["content-security-policy"]
        assert "default-src 'none'" in policy
        assert not re.search(r"unsafe|https?:|\*", policy)
    assert {path.name for path in Path(page_files.__file__).parent.iterdir() if path.suffix != ".py"} - {
        "__pycache__"
    } == {"index.html", *page_files.FILES}, "and the two files of the map"


def test_with_a_token_only_the_page_is_open(engine: MiniSearch) -> None:
    app = make_app(engine, token="secret")
    assert {ask(app, path).code for path in page_files.PATHS} == {200}
    assert ask(app, "/v1/facets").code == 401


# --- in a browser ----------------------------------------------------------------------------------------

CHROMIUM = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)


@contextmanager
def listening(app: Any) -> Iterator[str]:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        listener.listen(64)
        server = uvicorn.Server(uvicorn.Config(app, log_config=None, lifespan="on"))
        thread = threading.Thread(target=server.run, kwargs={"sockets": [listener]})
        thread.start()
        try:
            yield f"http://127.0.0.1:{listener.getsockname()[1]}"
        finally:
            server.should_exit = True
            thread.join()


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    if CHROMIUM is None:
        pytest.skip("no Chromium on this machine: apt install chromium")
    api = pytest.importorskip("playwright.sync_api")
    flags = ["--no-sandbox", "--disable-gpu", "--disable-background-networking", "--disable-sync"]
    with api.sync_playwright() as playwright:
        running = playwright.chromium.launch(executable_path=CHROMIUM, args=flags)
        yield running
        running.close()


@pytest.fixture(scope="module")
def address(app: Any) -> Iterator[str]:
    with listening(app) as url:
        yield url


@contextmanager
def opened(browser: Any, url: str, *, width: int = 1280, height: int = 800, **options: Any) -> Iterator[Any]:
    """A page; afterwards it has asked no other host, and reported no error of script or policy."""
    context = browser.new_context(viewport={"width": width, "height": height}, **options)
    page = context.new_page()
    problems: list[str] = []
    page.on("pageerror", lambda error: problems.append(str(error)))
    page.on(
        "console",
        lambda message: (
            problems.append(message.text)
            if message.type == "error" and "status of 4" not in message.text
            else None
        ),
    )
    asked: list[str] = []
    page.on("request", lambda request: asked.append(request.url))
    page.goto(url)
    yield page
    context.close()
    origin = "/".join(url.split("/")[:3])
    assert not [one for one in asked if not one.startswith((origin, "data:image/png", "vscode:"))]
    assert not problems


@pytest.fixture
def page(browser: Any, address: str) -> Iterator[Any]:
    with opened(browser, address) as page:
        yield page


def until(holds: Callable[[], bool]) -> None:
    """Wait until a condition holds; the policy of the page keeps Playwright from doing so within it."""
    deadline = time.monotonic() + 60
    while not holds():
        assert time.monotonic() < deadline
        time.sleep(0.02)


def search(page: Any, text: str) -> None:
    page.fill("#query", text)
    until(lambda: page.title().startswith(text))
    page.wait_for_selector(".result mark, .notice")


def focused(page: Any) -> str:
    return str(page.evaluate("document.activeElement.textContent.trim() || document.activeElement.id"))


def test_results_appear_as_one_types_and_the_answer_is_marked(page: Any) -> None:
    page.wait_for_selector(".start h2")
    page.locator("#query").press_sequentially("bake the loaf")
    page.wait_for_selector(".result mark")
    first = page.locator(".result").first
    assert first.locator("h2").inner_text() == "Bread › Baking"
    assert first.locator("mark").first.inner_text().startswith("Bake the loaf at 240 degrees")
    assert "guides/bread.md:5" in first.locator(".where").inner_text()


def test_everything_is_done_by_keyboard(page: Any) -> None:
    search(page, "bake the loaf")
    page.keyboard.press("ArrowDown")
    assert focused(page).startswith("Bread")
    page.keyboard.press("w")
    assert "By words" in page.locator(".result").first.locator(".why").inner_text()
    page.keyboard.press("Enter")
    page.wait_for_selector(".preview mark")
    assert focused(page) == "Bread"
    assert page.locator(".preview li").all_inner_texts() == ["Knead the dough.", "Let the dough rise."]
    assert page.locator(".preview em").inner_text() == "forty"
    page.keyboard.press("Escape")
    assert page.locator("#preview").is_hidden()
    assert focused(page).startswith("Bread")
    page.keyboard.press("s")
    page.wait_for_selector("#leave")
    until(lambda: page.locator(".result").count() > 1)
    assert "similar=" in page.url
    page.keyboard.press("/")
    assert focused(page) == "query"
    page.keyboard.press("Escape")
    page.locator("#results-heading").focus()
    page.keyboard.press("?")
    assert page.locator("#help").is_visible()
    page.keyboard.press("Escape")
    assert page.locator("#help").is_hidden()


def test_code_is_shown_with_its_lines_and_marked(page: Any) -> None:
    search(page, "preheat slowly heat oven warm")
    page.locator(".result h2 a", has_text="heat").first.click()
    page.wait_for_selector(".preview .is-hit")
    rows = page.locator(".preview .lines > div")
    assert rows.all_inner_texts()[0] == "import os"
    assert rows.evaluate_all("all => all.map(one => one.dataset.line)") == ["1", "2", "3", "4", "5", "6"]
    assert page.locator(".preview .c").first.inner_text() == "# preheat slowly"
    editor = page.locator("#open-editor").get_attribute("href")
    assert re.fullmatch(r"vscode://file/.*/code/heat\.py:\d", editor)


def test_the_marked_sentence_is_seen_also_at_the_end_of_a_long_passage(tmp_path: Path, browser: Any) -> None:
    lines = "\n\n".join(f"Row {n} of words." for n in range(6))
    (tmp_path / "a.txt").write_text(f"{lines}\n\nThe lighthouse keeper sleeps at noon.\n")
    with MiniSearch.open(tmp_path, encoder=HashingEncoder(max_tokens=200)) as ms:
        ms.index(tmp_path)
        with listening(make_app(ms)) as url, opened(browser, url) as page:
            search(page, "when does the lighthouse keeper sleep")
            page.wait_for_selector(".result mark")
            assert page.locator(".result mark").first.evaluate(
                "mark => { const box = mark.closest('.excerpt').getBoundingClientRect();"
                " return mark.getBoundingClientRect().bottom <= box.bottom + 1; }"
            )


def test_rows_are_shown_as_a_table(page: Any) -> None:
    search(page, "price of rice at the market")
    page.locator(".result h2 a", has_text="prices").first.click()
    page.wait_for_selector(".preview td")
    assert page.locator(".preview th").all_inner_texts() == ["Item", "Price", "Shop"]
    cells = page.locator(".preview td").all_inner_texts()
    assert cells == ["Lentils", "2.40", "Corner", "Rice", "3.10", "Market", "Tea, green", "5.00", "Market"]
    assert page.locator(".preview td mark").count()


def test_restructured_text_is_set(page: Any) -> None:
    search(page, "descale the kettle with vinegar")
    page.locator(".result h2 a", has_text="Kettle").first.click()
    page.wait_for_selector(".preview mark")
    assert page.locator(".preview h3").inner_text() == "Kettle"
    assert page.locator(".preview pre").inner_text() == "pour(vinegar)\nwait()"
    assert "_kettle" not in page.locator(".preview .body").inner_text()


def test_a_page_of_a_pdf_is_drawn_with_the_answer_marked(page: Any) -> None:
    search(page, "lighthouse lamps burn oil")
    page.locator(".result h2 a").first.click()
    page.wait_for_selector(".sheet i")
    assert page.locator(".sheet img").evaluate("image => image.complete && image.naturalWidth > 300")
    assert page.locator(".sheet i").first.evaluate("box => box.getBoundingClientRect().width") > 50
    page.get_by_role("button", name="Next page").click()
    page.wait_for_selector("text=Page 2 of 2")
    page.get_by_role("button", name="As text").click()
    page.wait_for_selector(".prose mark")
    assert "Lighthouse lamps" in page.locator(".prose").inner_text()


def test_filters_restrict_the_results_and_stay_in_the_address(page: Any) -> None:
    search(page, "oven bread router kettle")
    page.click("#menu-extensions")
    page.get_by_label("rst").check()
    until(lambda: page.locator(".result").count() == 1)
    assert "extensions=rst" in page.url
    page.reload()
    until(lambda: page.locator(".result").count() == 1)
    assert page.locator("#query").input_value() == "oven bread router kettle"
    page.get_by_role("button", name="Clear filters").click()
    until(lambda: page.locator(".result").count() > 3)


def test_no_answer_and_wrong_queries_say_so(page: Any) -> None:
    search(page, "zyzzyva quux")
    assert "In no passage: zyzzyva, quux." in page.locator("#notices").inner_text()
    page.fill("#query", "-bread")
    page.wait_for_selector(".is-error")
    assert "add what you look for" in page.locator(".is-error").inner_text()
    page.fill("#query", "")
    page.wait_for_selector(".start h2")
    assert page.locator("#notices").inner_text() == ""


def test_texts_of_documents_cannot_inject(browser: Any, address: str) -> None:
    context = browser.new_context(viewport={"width": 1280, "height": 800})
    page = context.new_page()
    page.add_init_script("window.hacked = () => { window.wasHacked = true; }")
    asked: list[str] = []
    page.on("request", lambda request: asked.append(request.url))
    page.goto(address)
    search(page, "the oven is hot")
    page.locator(".result h2 a", has_text="onerror").first.click()
    page.wait_for_selector(".preview mark")
    time.sleep(0.2)
    assert page.evaluate("window.wasHacked === undefined")
    assert page.locator("main script, main img, main [onclick], main [onerror]").count() == 0
    assert not page.locator("a[href^='javascript:']").count()
    assert "<script>hacked()</script>" in page.locator(".preview pre").inner_text()
    assert "<i onclick=hacked()>1</i>" in page.locator(".preview td").first.inner_text()
    assert not [one for one in asked if "evil" in one]
    context.close()


def test_the_policy_stops_what_would_get_in(browser: Any, address: str) -> None:
    """An element that a mistake of ours let in neither runs nor loads anything."""
    context = browser.new_context()
    page = context.new_page()
    said: list[str] = []
    page.on("console", lambda message: said.append(message.text))
    page.goto(address)
    page.evaluate(
        "document.querySelector('main').insertAdjacentHTML('beforeend',"
        " '<img src=http://evil.example/x onerror=\"window.wasHacked = true\">')"
    )
    until(lambda: len(said) >= 2)
    assert all("Content Security Policy" in one for one in said)
    assert page.evaluate("window.wasHacked === undefined")
    context.close()


def test_a_token_is_asked_for_once(browser: Any, engine: MiniSearch) -> None:
    with listening(make_app(engine, token="secret")) as url, opened(browser, url) as page:
        page.wait_for_selector("#token-field")
        page.fill("#token-field", "wrong")
        page.keyboard.press("Enter")
        page.wait_for_selector("text=The token is not right")
        page.fill("#token-field", "secret")
        page.keyboard.press("Enter")
        page.wait_for_selector(".start h2")
        page.reload()
        page.wait_for_selector(".start h2")
        assert page.locator("#token").is_hidden()


def test_a_server_that_has_ended_is_named(browser: Any, engine: MiniSearch) -> None:
    with listening(make_app(engine)) as url:
        context = browser.new_context()
        page = context.new_page()
        page.goto(url)
        page.wait_for_selector(".start h2")
    page.fill("#query", "bread")
    page.wait_for_selector(".is-error")
    assert "minisearch serve" in page.locator(".is-error").inner_text()
    assert page.get_by_role("button", name="Try again").is_visible()
    context.close()


def test_a_phone_shows_all_of_it(browser: Any, address: str) -> None:
    with opened(browser, address, width=375, height=700) as page:
        fits = "document.documentElement.scrollWidth <= 375 && document.body.scrollHeight <= innerHeight + 1"
        page.wait_for_selector(".start h2")
        assert page.evaluate(fits)
        search(page, "bake the loaf")
        assert page.evaluate(fits)
        page.click("#menu-paths")
        assert page.locator(".panel").first.evaluate(
            "one => { const box = one.getBoundingClientRect(); return box.left >= 0 && box.right <= 375; }"
        )
        page.keyboard.press("Escape")
        page.locator(".result h2 a").first.click()
        page.wait_for_selector(".preview mark")
        assert page.evaluate(fits)
        assert page.locator("#list").is_hidden()
        page.get_by_role("button", name="Close the document").click()
        assert page.locator("#list").is_visible()
        page.keyboard.press("/")
        page.keyboard.press("Enter")
        page.wait_for_selector(".preview mark")
        page.go_back()
        assert page.locator("#list").is_visible()
        page.locator(".result h2 a").first.click()
        page.wait_for_selector(".preview mark")
        page.locator(".logo").click()
        page.wait_for_selector(".start h2")
        search(page, "bake the loaf")
        assert page.locator("#list").is_visible()


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_no_serious_finding_of_axe(browser: Any, address: str, scheme: str) -> None:
    axe = pytest.importorskip("axe_playwright_python.sync_playwright").Axe()

    def serious() -> list[Any]:
        found = axe.run(page).response["violations"]
        return [
            (one["id"], [node["html"] for node in one["nodes"]])
            for one in found
            if one["impact"] in {"serious", "critical"}
        ]

    with opened(browser, address, color_scheme=scheme) as page:
        page.wait_for_selector(".start h2")
        assert serious() == []
        search(page, "the oven is hot")
        page.keyboard.press("ArrowDown")
        page.keyboard.press("w")
        assert serious() == []
        for name in ("onerror", "heat"):
            page.locator(".result h2 a", has_text=name).first.click()
            page.wait_for_selector(".preview mark")
            assert serious() == []
        page.click("#menu-paths")
        assert serious() == []
        page.keyboard.press("Escape")
        page.click("#help-button")
        assert serious() == []


def test_the_map_and_copies_are_shown_and_lead_to_documents(page: Any) -> None:
    pytest.importorskip("sklearn")
    page.get_by_role("button", name="Map of all documents").click()
    page.wait_for_selector(".map-canvas")
    assert "view=map" in page.url
    page.fill(".map-search", "bread")
    assert page.locator(".map-said").inner_text() == "1 found"
    page.locator(".map-legend summary").first.click()
    page.locator(".map-legend[open] button, .map-legend details[open] button").first.click()
    page.wait_for_selector(".preview .prose, .preview .lines, .preview .sheet")
    page.get_by_role("button", name="Close the document").click()
    page.get_by_role("button", name="Back to search").click()
    page.get_by_role("button", name="Copies", exact=True).click()
    page.wait_for_selector("text=No document is a copy of another one.")
    search(page, "bake the loaf")
    assert "view=" not in page.url


def test_a_screen_reader_finds_its_way(page: Any) -> None:
    search(page, "bake the loaf")
    assert page.get_by_role("search").get_by_role("searchbox", name="Search").is_visible()
    results = page.get_by_role("region", name="Results").get_by_role("list").first
    assert results.get_by_role("heading", level=2).first.inner_text() == "Bread › Baking"
    assert page.get_by_role("button", name="Similar to Bread").first.is_visible()
    page.locator(".result h2 a").first.click()
    page.wait_for_selector(".preview mark")
    document = page.get_by_role("region", name="Document", exact=True)
    assert document.get_by_role("heading", name="Bread").first.is_visible()
    assert document.get_by_role("region", name="Text of the document").is_visible()
