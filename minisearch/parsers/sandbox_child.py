"""The sandbox process: it reads requests from its standard input and writes answers to its standard output.

A request is two frames (see `contents`): the name of a module here, whose ``extract`` reads the file, and the
file's bytes.  An answer is one frame of JSON with ``contents``, or with the ``reason`` why there are none.

The kernel limits memory and processor time.  An audit hook refuses what the kernel does not limit: no Python
code here opens a socket, starts or ends a program, or writes, moves or removes a file.  The hook guards
against mistakes of a library; native code that a file has taken over calls no hook.  The process ends with
its parent, after a minute without a request, and after a file that has left it large.

This process loads only the standard library, the modules beside this one, and the library of the format.
"""

from __future__ import annotations

import ctypes  # noqa: F401 - it opens the program itself, which the hook would refuse later
import importlib
import json
import os
import resource
import select
import sys
import threading
from typing import Any, BinaryIO

from minisearch.parsers.contents import FRAME, ExtractionError

FORMATS = ("pdf", "docx", "pptx", "xlsx", "epub", "grammars")
IDLE_S = 60
# Audit events by their first characters; "os.ch" is chmod, chown and chdir.
REFUSED = (
    *("socket.", "subprocess.", "signal.", "shutil.", "sqlite3.", "dbm.", "resource.prlimit"),
    *("os.system", "os.exec", "os.fork", "os.posix_spawn", "os.spawn", "os.kill", "os.setxattr", "os.utime"),
    *("os.ch", "os.link", "os.symlink", "os.mkdir", "os.rename", "os.remove", "os.rmdir", "os.truncate"),
)
NATIVE = "pdfium"  # the only library that is loaded without an extension module of its own
WRITING = os.O_WRONLY | os.O_RDWR | os.O_CREAT | os.O_TRUNC | os.O_APPEND


def main(paths: list[str], cpu_s: int, memory_bytes: int, answer_bytes: int) -> None:
    """Answer requests until there are no more; ``paths`` is the search path for modules.

    One file may take ``cpu_s`` of processor time, ``memory_bytes`` more than the process had at the start,
    and an answer of ``answer_bytes``.
    """
    requests, answers = _take_pipes()
    _end_with_parent(requests)
    sys.path[:] = paths
    sys.addaudithook(_refuse)
    base = _address_space()
    _limit(resource.RLIMIT_CORE, 0)
    _limit(resource.RLIMIT_FSIZE, 0)
    while select.select([requests], [], [], IDLE_S)[0]:
        name = _read_frame(requests).decode()
        data = _read_frame(requests)
        _limit_cpu(cpu_s)
        if base:
            _limit(resource.RLIMIT_AS, base + memory_bytes)
        answer = _answer(name, data, answer_bytes)
        del data
        answers.write(FRAME.pack(len(answer)) + answer)
        answers.flush()
        if base and _address_space() - base > memory_bytes // 2:
            break
    os._exit(0)


def _take_pipes() -> tuple[BinaryIO, BinaryIO]:
    """The two pipes; what libraries print is discarded."""
    requests, answers = os.fdopen(os.dup(0), "rb"), os.fdopen(os.dup(1), "wb")
    nowhere = os.open(os.devnull, os.O_RDWR)
    for standard in (0, 1, 2):
        os.dup2(nowhere, standard)
    return requests, answers


def _end_with_parent(requests: BinaryIO) -> None:
    """End the process as soon as the other end of the pipe is closed, whatever is running."""
    lifeline = select.poll()
    lifeline.register(requests, 0)  # no event is requested, so only a hang-up is reported

    def wait() -> None:
        lifeline.poll()
        os._exit(1)

    threading.Thread(target=wait, daemon=True).start()


def _refuse(event: str, arguments: tuple[Any, ...]) -> None:
    if event == "open":
        path, mode, flags = arguments
        if isinstance(path, int):
            return
        if flags & WRITING or set(mode or "") & set("wax+"):
            raise PermissionError(f"no file is written here: {path!r}")
    elif event.startswith(REFUSED) or (event == "ctypes.dlopen" and NATIVE not in _file_name(arguments[0])):
        raise PermissionError(f"{event} is not for this process")


def _file_name(path: object) -> str:
    return os.path.basename(os.fsdecode(path)) if isinstance(path, str | bytes | os.PathLike) else ""  # noqa: PTH119


def _answer(name: str, data: bytes, answer_bytes: int) -> bytes:
    """The answer to one request, as JSON; no exception of a library escapes."""
    try:
        answer = json.dumps({"contents": _extract(name, data)}, ensure_ascii=False)
        encoded = answer.encode("utf-8", "replace")  # half a surrogate pair becomes "?"
        if len(encoded) <= answer_bytes:
            return encoded
        return _reason(f"more than {answer_bytes // 10**6} MB of text in it")
    except ExtractionError as error:
        return _reason(str(error))
    except RecursionError:
        return _reason("nested too deeply")
    except MemoryError:
        _limit(resource.RLIMIT_AS, resource.RLIM_INFINITY)  # there may be no room for the answer either
        return json.dumps({"is_out_of_memory": True}).encode()
    except Exception as error:  # a library may raise anything on an unexpected file
        words = " ".join(f"{type(error).__name__}: {error}".split())
        return _reason(f"damaged, or not what its name says ({words[:150]})")


def _extract(name: str, data: bytes) -> dict[str, Any]:
    if name not in FORMATS:
        raise ExtractionError(f"no such format: {name}")
    contents: dict[str, Any] = importlib.import_module(f"minisearch.parsers.{name}").extract(data)
    return contents


def _reason(reason: str) -> bytes:
    return json.dumps({"reason": reason}).encode()


def _read_frame(file: BinaryIO) -> bytes:
    (length,) = FRAME.unpack(_read(file, FRAME.size))
    return _read(file, length)


def _read(file: BinaryIO, n_bytes: int) -> bytes:
    data = file.read(n_bytes)
    if len(data) < n_bytes:  # the parent has closed the pipe
        os._exit(0)
    return data


def _limit(what: int, soft: int) -> None:
    _, hard = resource.getrlimit(what)
    if hard != resource.RLIM_INFINITY and (soft == resource.RLIM_INFINITY or soft > hard):
        soft = hard
    resource.setrlimit(what, (soft, hard))


def _limit_cpu(cpu_s: int) -> None:
    used = resource.getrusage(resource.RUSAGE_SELF)
    _limit(resource.RLIMIT_CPU, int(used.ru_utime + used.ru_stime) + 1 + cpu_s)


def _address_space() -> int:
    """Bytes of address space in use; 0 on systems that do not report it (they do not limit it either)."""
    try:
        with open("/proc/self/statm", "rb") as file:  # noqa: PTH123 - pathlib is not loaded here
            return int(file.read().split()[0]) * resource.getpagesize()
    except OSError:
        return 0
