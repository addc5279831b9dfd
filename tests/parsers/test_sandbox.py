"""A file may crash, hang or fill the sandbox process: the parent continues and reads the next file."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from minisearch.errors import IngestError, TookTooLong
from minisearch.parsers import parse, registry
from minisearch.parsers.registry import Extracted
from minisearch.parsers.sandbox import Limits, Sandbox
from tests.parsers.made_files import deflated, epub, pdf, pdf_of_streams, stream

ROOT = Path(__file__).parents[2]
BOMB = pdf_of_streams([stream(deflated(2048), b"/Filter /FlateDecode")])
# Text that takes PDFium some seconds, in a page of 400 KB.
SLOW = pdf_of_streams([stream(b"BT /F1 9 Tf 72 700 Td " + b"(a) Tj 0 -9 Td " * 400_000 + b"ET")])


@pytest.fixture
def sandbox() -> Iterator[Sandbox]:
    box = Sandbox()
    yield box
    box.close()


def take(sandbox: Sandbox, data: bytes, format_: str = "pdf") -> str:
    return Extracted(format_, sandbox=sandbox).read("a", data).text


def reason(sandbox: Sandbox, data: bytes, format_: str = "pdf") -> str:
    with pytest.raises(IngestError) as caught:
        take(sandbox, data, format_)
    return str(caught.value)


def is_running(pid: int) -> bool:
    try:
        state = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except (FileNotFoundError, ProcessLookupError):
        return False
    return state != "Z"


def wait_until(condition, *, within_s: float = 5) -> None:
    end = time.monotonic() + within_s
    while not condition():
        assert time.monotonic() < end, "it did not happen"
        time.sleep(0.02)


def child_code(monkeypatch: pytest.MonkeyPatch, code: str) -> None:
    """From now on, start processes that run this in place of the real thing."""
    monkeypatch.setattr("minisearch.parsers.sandbox.BOOT", code)


# --- the process ---------------------------------------------------------------------------------------


def test_the_process_starts_with_the_first_file_and_is_kept(sandbox):
    assert sandbox.pid is None
    assert take(sandbox, pdf("one")) == "one"
    pid = sandbox.pid
    assert take(sandbox, epub("<p>two</p>"), "epub") == "two"
    assert reason(sandbox, b"nothing").startswith("not a PDF")
    assert sandbox.pid == pid
    sandbox.close()
    assert not is_running(pid)


def test_a_process_killed_between_two_files_is_replaced(sandbox):
    take(sandbox, pdf("one"))
    os.kill(sandbox.pid, signal.SIGKILL)
    wait_until(lambda: not is_running(sandbox.pid))
    assert take(sandbox, pdf("two")) == "two"


def test_a_process_that_ends_during_a_request_is_reported_and_replaced(sandbox, monkeypatch):
    with monkeypatch.context() as patch:
        child_code(patch, "import os, json; os.read(0, 8); os._exit(0)")
        assert reason(sandbox, pdf("words")) == "its reader ended without an answer (exit status 0)"
    assert take(sandbox, pdf("second")) == "second"


def state(path: Path) -> tuple[int, ...]:
    status = path.stat()
    return status.st_mode, status.st_uid, status.st_nlink, status.st_size, status.st_mtime_ns


def test_the_process_may_open_no_socket_start_no_program_and_change_no_file(sandbox, tmp_path, monkeypatch):
    written = tmp_path / "written"
    there = tmp_path / "there"
    there.write_text("as it was")
    there.chmod(0o640)
    (tmp_path / "folder").mkdir()
    before = state(tmp_path), state(there)
    attempts = {
        "socket": "import socket; socket.socket()",
        "program": "import subprocess; subprocess.run(['true'])",
        "fork": "import os; os.fork()",
        "file": f"open({str(written)!r}, 'w').write('x')",
        "descriptor": f"import os; os.open({str(written)!r}, os.O_CREAT | os.O_WRONLY)",
        "rename": f"import os; os.rename({str(there)!r}, {str(written)!r})",
        "replace": f"import pathlib; pathlib.Path({str(there)!r}).replace({str(written)!r})",
        "remove": f"import os; os.unlink({str(there)!r})",
        "rmdir": f"import os; os.rmdir({str(tmp_path / 'folder')!r})",
        "mkdir": f"import os; os.makedirs({str(written)!r})",
        "mode": f"import os; os.chmod({str(there)!r}, 0)",
        "owner": f"import os; os.chown({str(there)!r}, 1, 1)",
        "link": f"import os; os.link({str(there)!r}, {str(written)!r})",
        "symbolic link": f"import os; os.symlink({str(there)!r}, {str(written)!r})",
        "truncate": f"import os; os.truncate({str(there)!r}, 0)",
        "times": f"import os; os.utime({str(there)!r})",
        "kill": "import os; os.kill(os.getppid(), 0)",
        "killpg": "import os; os.killpg(os.getpgid(os.getppid()), 0)",
        "database": f"import sqlite3; sqlite3.connect({str(written)!r})",
        "library": "import ctypes; ctypes.CDLL(None)",
        "named library": "import ctypes; ctypes.CDLL('libc.so.6')",
    }
    boot = (
        "import json, sys; sys.path.insert(0, sys.argv[1])\n"
        "import minisearch.parsers.sandbox_child as child\n"
        "child._extract = lambda name, data: exec(data)\nchild.main(*json.loads(sys.argv[2]))"
    )
    child_code(monkeypatch, boot)
    for name, attempt in attempts.items():
        assert "PermissionError" in reason(sandbox, attempt.encode()), name
    assert not written.exists()
    assert (state(tmp_path), state(there)) == before


def test_the_process_inherits_no_descriptor_and_no_environment(sandbox, monkeypatch, tmp_path):
    monkeypatch.setenv("SECRET_TOKEN", "x")
    with (tmp_path / "open").open("w") as file:
        os.set_inheritable(file.fileno(), True)
        take(sandbox, pdf("words"))
        held = {os.readlink(f"/proc/{sandbox.pid}/fd/{fd}") for fd in os.listdir(f"/proc/{sandbox.pid}/fd")}
    assert not any("open" in name for name in held)
    assert b"SECRET_TOKEN" not in Path(f"/proc/{sandbox.pid}/environ").read_bytes()


def test_modules_in_the_working_folder_are_not_loaded(tmp_path):
    for name in ("pypdfium2", "json", "minisearch"):
        (tmp_path / f"{name}.py").write_text("import os; os._exit(7)")
    (tmp_path / "a.pdf").write_bytes(pdf("words"))
    code = (
        f"import sys; sys.path.insert(0, {str(ROOT)!r})\n"
        "from minisearch.parsers import parse, read_bytes; sys.path.insert(0, '')\n"
        "print(parse('a.pdf', read_bytes('a.pdf')).text)"
    )
    done = subprocess.run([sys.executable, "-I", "-c", code], cwd=tmp_path, capture_output=True, text=True)
    assert done.stdout == "words\n", done.stderr


def test_the_process_loads_no_more_than_it_needs():
    formats = ("pdf", "docx", "pptx", "xlsx", "epub", "grammars")
    code = "import sys\nfrom minisearch.parsers import sandbox_child, {}\nprint(*sys.modules)"
    done = subprocess.run(
        [sys.executable, "-c", code.format(", ".join(formats))], cwd=ROOT, capture_output=True, text=True
    )
    loaded = set(done.stdout.split())
    names = ("archive", "contents", "docx_styles", "office", "pdf.document", "pdf.layout", "pdf.page")
    helpers = {f"minisearch.parsers.{name}" for name in names}
    modules = {f"minisearch.parsers.{name}" for name in (*formats, "sandbox_child")}
    assert {name for name in loaded if name.startswith("minisearch")} == {
        "minisearch", "minisearch.parsers", "minisearch.text", *helpers, *modules,
    }  # fmt: skip
    assert not loaded & {"numpy", "tree_sitter"}


@pytest.mark.parametrize("ending", ["sys.exit()", "os._exit(0)", "os.kill(os.getpid(), 9)"])
def test_the_process_ends_with_its_parent(ending):
    code = (
        "import os, sys; from minisearch.parsers.registry import SANDBOX, EXTRACTED\n"
        "from tests.parsers.made_files import pdf\n"
        f"EXTRACTED['pdf'].read('a', pdf('words')); print(SANDBOX.pid, flush=True); {ending}"
    )
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, timeout=60)
    wait_until(lambda: not is_running(int(done.stdout)))
    assert done.stderr == ""


def test_the_process_ends_with_its_owner():
    box = Sandbox()
    take(box, pdf("words"))
    pid = box.pid
    del box
    assert not is_running(pid)


def test_threads_take_turns(sandbox):
    texts: list[str] = []

    def run(number: int) -> None:
        texts.extend(take(sandbox, pdf(f"words {number} {i}")) for i in range(10))

    threads = [threading.Thread(target=run, args=(number,)) for number in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(texts) == sorted(f"words {number} {i}" for number in range(4) for i in range(10))


# --- limits --------------------------------------------------------------------------------------------


def test_too_much_time_ends_the_process(sandbox):
    sandbox.limits = Limits(wall_s=0.5)
    with pytest.raises(TookTooLong, match=r"^the PDF took more than 0\.5 s to read$"):
        take(sandbox, SLOW)
    sandbox.limits = Limits()
    assert take(sandbox, pdf("next")) == "next"


def test_too_much_processor_time_ends_the_process(monkeypatch):
    box = Sandbox(Limits(cpu_s=1))
    boot = (
        "import json, sys; sys.path.insert(0, sys.argv[1])\n"
        "import minisearch.parsers.sandbox_child as child\n"
        "def take(name, data):\n    while True: pass\n"
        "child._extract = take\nchild.main(*json.loads(sys.argv[2]))"
    )
    with monkeypatch.context() as patch:
        child_code(patch, boot)
        assert reason(box, b"") == "the PDF took more than 1 s of processor time to read"
    box.close()


def test_too_much_memory_ends_the_process(sandbox):
    found = reason(sandbox, BOMB)
    assert found == "the reader of the PDF gave up (signal 6; it may need more than 1 GiB of memory)"
    assert sandbox.pid is None
    assert take(sandbox, pdf("next")) == "next"


def test_too_much_memory_in_python_is_reported(sandbox, monkeypatch):
    boot = (
        "import json, sys; sys.path.insert(0, sys.argv[1])\n"
        "import minisearch.parsers.sandbox_child as child\n"
        "def take(name, data): return [bytes(1 << 24) for _ in range(1000)]\n"
        "child._extract = take\nchild.main(*json.loads(sys.argv[2]))"
    )
    with monkeypatch.context() as patch:
        child_code(patch, boot)
        assert reason(sandbox, b"") == "the PDF needed more than 1 GiB of memory to read"
    assert take(sandbox, pdf("next")) == "next"


def test_too_much_text_is_refused(sandbox):
    sandbox.limits = Limits(answer_bytes=2_000_000)
    assert reason(sandbox, pdf(*["word " * 200] * 3000)) == "more than 2 MB of text in it"


def test_hostile_files_cost_the_parent_no_memory():
    code = (
        "import resource; from tests.parsers.test_sandbox import BOMB, parse, IngestError\n"
        "from tests.parsers.made_files import pdf; parse('a.pdf', pdf('warm'))\n"
        "before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss\n"
        "for _ in range(3):\n    try: parse('a.pdf', BOMB)\n    except IngestError: pass\n"
        "print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before)"
    )
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, timeout=120)
    assert int(done.stdout) < 20_000, done.stderr  # KB


# --- nonsense answers ----------------------------------------------------------------------------------

NONSENSE = "its reader gave an invalid answer"


def answering(frame: bytes) -> str:
    return f"import os, time; os.read(0, 8); os.write(1, {frame!r}); time.sleep(60)"


GOOD = b'"title": "", "properties": [], "notes": [], "has_pages": true'


@pytest.mark.parametrize("answer", [
    b"", b"\xff\xfe", b"[]", b"{}", b'{"contents": 1}', b'{"contents": {}}', b"[" * 100_000,
    b'{"contents": {"pages": 1, %b}}' % GOOD,
    b'{"contents": {"pages": [[{"text": 5, "headings": []}]], %b}}' % GOOD,
    b'{"contents": {"pages": [[{"text": "a", "headings": [[9, 1, "b"]]}]], %b}}' % GOOD,
    b'{"contents": {"pages": [[{"text": "a", "headings": [[0, 0, "b"]]}]], %b}}' % GOOD,
    b'{"contents": {"pages": [[{"group": 1, "kind": "item"}]], %b}}' % GOOD,
    b'{"contents": {"pages": [[{"rows": [1]}]], %b}}' % GOOD,
    b'{"contents": {"pages": [[{"other": 1}]], %b}}' % GOOD,
], ids=range(14))  # fmt: skip
def test_a_nonsense_answer_is_reported(sandbox, monkeypatch, answer):
    child_code(monkeypatch, answering(answer + b"\n"))
    assert reason(sandbox, b"") == NONSENSE


def test_an_endless_answer_is_refused(sandbox, monkeypatch):
    child_code(monkeypatch, "import os\nwhile True: os.write(1, b'[' * 65_536)")
    assert reason(sandbox, b"") == NONSENSE
    assert sandbox.pid is None


@pytest.mark.parametrize("number", [signal.SIGSEGV, signal.SIGKILL])
def test_a_crash_is_reported_with_its_signal(sandbox, monkeypatch, number):
    child_code(monkeypatch, f"import os; os.read(0, 8); os.kill(os.getpid(), {int(number)})")
    assert reason(sandbox, b"") == f"the reader of the PDF crashed (signal {int(number)})"


def test_a_reason_is_one_printable_line(sandbox, monkeypatch):
    child_code(monkeypatch, answering(b'{"reason": "a\\nb\\u001b[31mc\\u0000"}\n'))
    assert reason(sandbox, b"") == "a b\ufffd[31mc\ufffd"


def test_nul_and_lone_surrogates_are_replaced(sandbox, monkeypatch):
    answer = b'{"contents": {"pages": [[{"text": "a\\u0000\\ud800b", "headings": []}]], %b}}' % GOOD
    child_code(monkeypatch, answering(answer + b"\n"))
    assert take(sandbox, b"") == "a\ufffd\ufffdb"


# --- stopping, and missing libraries -------------------------------------------------------------------


def test_ctrl_c_reaches_the_parent_at_once():
    code = (
        "from tests.parsers.test_sandbox import SLOW, parse; print('ready', flush=True)\n"
        "try: parse('a.pdf', SLOW * 20)\n"
        "except KeyboardInterrupt: print('interrupted')"
    )
    process = subprocess.Popen([sys.executable, "-c", code], cwd=ROOT, stdout=subprocess.PIPE, text=True)
    assert process.stdout
    process.stdout.readline()
    time.sleep(0.7)
    process.send_signal(signal.SIGINT)
    started_s = time.monotonic()
    assert process.stdout.read() == "interrupted\n"
    assert process.wait() == 0
    assert time.monotonic() - started_s < 1.5
    process.stdout.close()


def test_a_missing_library_names_its_install_line(monkeypatch):
    monkeypatch.setattr(registry.importlib.util, "find_spec", lambda name: None)
    with pytest.raises(IngestError) as caught:
        parse("a.pdf", b"")
    assert str(caught.value) == "PDF needs pypdfium2: pip install 'minisearch-local[pdf]'"
    assert parse("a.epub", epub("<p>needs none</p>")).text == "needs none"
