"""The sandbox process: it reads requests from its standard input and writes answers to its standard output.

A request is a line of JSON, with the module here whose ``extract`` reads the file, and then the file's bytes.
An answer is one line of JSON with ``contents``, or with the ``reason`` why there are none.

The kernel limits memory and processor time.  An audit hook refuses what the kernel does not limit: no Python
code here opens a socket, starts or ends a program, or writes, moves or removes a file.  The hook guards
against mistakes of a library; native code that a file has taken over calls no hook.  The process ends when
its parent has closed the pipe, and after a file that has left it large.

This process loads only the standard library, the modules beside this one, and the library of the format.
"""

from __future__ import annotations

import ctypes  # noqa: F401 - it opens the program itself, which the hook would refuse later
import importlib
import json
import os
import resource
import sys
from typing import Any, BinaryIO

from minisearch.parsers.contents import ExtractionError

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
    sys.path[:] = paths
    sys.addaudithook(_refuse)
    base = _address_space()
    _limit(resource.RLIMIT_CORE, 0)
    _limit(resource.RLIMIT_FSIZE, 0)
    while header := requests.readline():
        request = json.loads(header)
        data = requests.read(request["n_bytes"])
        used = resource.getrusage(resource.RUSAGE_SELF)
        _limit(resource.RLIMIT_CPU, int(used.ru_utime + used.ru_stime) + 1 + cpu_s)
        if base:
            _limit(resource.RLIMIT_AS, base + memory_bytes)
        try:
            contents = _extract(request["format"], data)
            is_last = base > 0 and _address_space() - base > memory_bytes // 2
            answer = json.dumps({"contents": contents, "is_last": is_last}, ensure_ascii=False)
            encoded = answer.encode("utf-8", "replace")  # half a surrogate pair becomes "?"
            if len(encoded) > answer_bytes:
                encoded = _reason(f"more than {answer_bytes // 10**6} MB of text in it")
        except ExtractionError as error:
            encoded = _reason(str(error))
        except RecursionError:
            encoded = _reason("nested too deeply")
        except MemoryError:
            _limit(resource.RLIMIT_AS, resource.RLIM_INFINITY)  # there may be no room for the answer either
            most = f"{memory_bytes / (1 << 30):g} GiB"
            encoded = _reason(
                f"the {request['label']} needed more than {most} of memory to read", is_last=True
            )
        except Exception as error:  # a library may raise anything on an unexpected file
            words = " ".join(f"{type(error).__name__}: {error}".split())
            encoded = _reason(f"damaged, or not what its name says ({words[:150]})")
        answers.write(encoded + b"\n")
        answers.flush()
    os._exit(0)


def _extract(name: str, data: bytes) -> dict[str, Any]:
    contents: dict[str, Any] = importlib.import_module(f"minisearch.parsers.{name}").extract(data)
    return contents


def _reason(reason: str, *, is_last: bool = False) -> bytes:
    return json.dumps({"reason": reason, "is_last": is_last}).encode()


def _take_pipes() -> tuple[BinaryIO, BinaryIO]:
    """The two pipes; what libraries print is discarded."""
    requests, answers = os.fdopen(os.dup(0), "rb"), os.fdopen(os.dup(1), "wb")
    nowhere = os.open(os.devnull, os.O_RDWR)
    for standard in (0, 1, 2):
        os.dup2(nowhere, standard)
    return requests, answers


def _refuse(event: str, arguments: tuple[Any, ...]) -> None:
    if event == "open":
        path, mode, flags = arguments
        if not isinstance(path, int) and (flags & WRITING or set(mode or "") & set("wax+")):
            raise PermissionError(f"no file is written here: {path!r}")
    elif event.startswith(REFUSED) or (event == "ctypes.dlopen" and NATIVE not in str(arguments[0])):
        raise PermissionError(f"{event} is not for this process")


def _limit(what: int, soft: int) -> None:
    _, hard = resource.getrlimit(what)
    if hard != resource.RLIM_INFINITY and (soft == resource.RLIM_INFINITY or soft > hard):
        soft = hard
    resource.setrlimit(what, (soft, hard))


def _address_space() -> int:
    """Bytes of address space in use; 0 on systems that do not report it (they do not limit it either)."""
    try:
        with open("/proc/self/statm", "rb") as file:  # noqa: PTH123 - pathlib is not loaded here
            return int(file.read().split()[0]) * resource.getpagesize()
    except OSError:
        return 0
