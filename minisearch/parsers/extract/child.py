"""The process in which files are taken apart: requests on its input, answers on its output, and no more.

A request is two frames, the format's name and the file's bytes; an answer is one frame of JSON, with
``contents``, or a ``reason`` why there are none.  A frame is its length (8 bytes, the highest first) and as
many bytes.  The limits are the kernel's; what it does not limit, an audit hook refuses: nothing that Python
does here opens a socket, starts a program, ends one, or writes, moves or removes a file.  That guards against
what a reader does by mistake; native code that a file has taken over asks no hook.  The process ends when its
parent does, when nothing is asked of it for a while, and when a file has left it large.
"""

from __future__ import annotations

import ctypes  # noqa: F401 - it opens this very program, which is refused later
import importlib
import json
import os
import resource
import select
import struct
import sys
import threading
from dataclasses import dataclass
from typing import Any, BinaryIO

from minisearch.parsers.extract.contents import Plain, Unreadable

FRAME = struct.Struct(">Q")
# Each the name of a module here, whose `take` reads it.
FORMATS = ("pdf", "docx", "pptx", "xlsx", "epub", "code")
IDLE_S = 60
REFUSED = (
    "socket.",
    "subprocess.",
    "os.system",
    "os.exec",
    "os.fork",
    "os.posix_spawn",
    "os.spawn",
    "os.kill",
    "signal.",
    "os.ch",  # chmod, chown, chdir ...
    "os.link",
    "os.symlink",
    "os.mkdir",
    "os.rename",
    "os.remove",
    "os.rmdir",
    "os.truncate",
    "os.utime",
    "os.setxattr",
    "resource.prlimit",
    "shutil.",
    "sqlite3.",
    "dbm.",
)
NATIVE = "pdfium"  # the one library that is loaded without an extension module of its own
WRITING = os.O_WRONLY | os.O_RDWR | os.O_CREAT | os.O_TRUNC | os.O_APPEND


@dataclass(frozen=True, slots=True)
class Limits:
    """What one file may take: processor seconds, bytes of memory beyond the start, bytes of an answer."""

    cpu_s: int
    memory_bytes: int
    answer_bytes: int


def main(paths: list[str], cpu_s: int, memory_bytes: int, answer_bytes: int) -> None:
    """Answer requests until there are no more; ``paths`` is where modules are looked for."""
    requests, answers = _take_pipes()
    _end_with_parent(requests)
    sys.path[:] = paths
    sys.addaudithook(_refuse)
    base = _address_space()
    limits = Limits(cpu_s, memory_bytes, answer_bytes)
    _limit(resource.RLIMIT_CORE, 0)
    _limit(resource.RLIMIT_FSIZE, 0)
    while select.select([requests], [], [], IDLE_S)[0]:
        name = _read_frame(requests).decode()
        data = _read_frame(requests)
        _limit_cpu(limits.cpu_s)
        if base:
            _limit(resource.RLIMIT_AS, base + limits.memory_bytes)
        answer = _answer(name, data, limits)
        del data
        answers.write(FRAME.pack(len(answer)) + answer)
        answers.flush()
        if base and _address_space() - base > limits.memory_bytes // 2:
            break
    os._exit(0)


def _take_pipes() -> tuple[BinaryIO, BinaryIO]:
    """The two pipes; what libraries print goes nowhere instead."""
    requests, answers = os.fdopen(os.dup(0), "rb", buffering=0), os.fdopen(os.dup(1), "wb")
    nowhere = os.open(os.devnull, os.O_RDWR)
    for standard in (0, 1, 2):
        os.dup2(nowhere, standard)
    return requests, answers


def _end_with_parent(requests: BinaryIO) -> None:
    """End at once when the other end of the pipe is closed, whatever is under way."""
    lifeline = select.poll()
    lifeline.register(requests, 0)  # asks for nothing, so only a hang-up is told

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


def _answer(name: str, data: bytes, limits: Limits) -> bytes:
    """The answer to one request, as JSON; nothing that a reader does escapes."""
    try:
        contents = _take(name, data)
        answer = json.dumps({"contents": contents.plain()}, ensure_ascii=False)
        encoded = answer.encode("utf-8", "replace")  # half a surrogate pair becomes "?"
        if len(encoded) <= limits.answer_bytes:
            return encoded
        return _reason(f"more than {limits.answer_bytes // 10**6} MB of text in it")
    except Unreadable as error:
        return _reason(str(error))
    except RecursionError:
        return _reason("nested too deep")
    except MemoryError:
        _limit(resource.RLIMIT_AS, resource.RLIM_INFINITY)  # there may be no room for the answer either
        return json.dumps({"is_out_of_memory": True}).encode()
    except Exception as error:  # a library may raise anything on a file that is not as it expects
        words = " ".join(f"{type(error).__name__}: {error}".split())
        return _reason(f"damaged, or not what its name says ({words[:150]})")


def _take(name: str, data: bytes) -> Plain:
    if name not in FORMATS:
        raise Unreadable(f"no such format: {name}")
    contents: Plain = importlib.import_module(f"minisearch.parsers.extract.{name}").take(data)
    return contents


def _reason(reason: str) -> bytes:
    return json.dumps({"reason": reason}).encode()


def _read_frame(file: BinaryIO) -> bytes:
    (length,) = FRAME.unpack(_read(file, FRAME.size))
    return _read(file, length)


def _read(file: BinaryIO, n_bytes: int) -> bytes:
    data = bytearray()
    while len(data) < n_bytes:
        part = file.read(min(n_bytes - len(data), 1 << 20))
        if not part:
            os._exit(0)
        data += part
    return bytes(data)


def _limit(what: int, soft: int) -> None:
    _, hard = resource.getrlimit(what)
    if hard != resource.RLIM_INFINITY and (soft == resource.RLIM_INFINITY or soft > hard):
        soft = hard
    resource.setrlimit(what, (soft, hard))


def _limit_cpu(cpu_s: int) -> None:
    used = resource.getrusage(resource.RUSAGE_SELF)
    _limit(resource.RLIMIT_CPU, int(used.ru_utime + used.ru_stime) + 1 + cpu_s)


def _address_space() -> int:
    """Bytes of address space in use; 0 where the system does not tell, and does not limit it either."""
    try:
        with open("/proc/self/statm", "rb") as file:  # noqa: PTH123 - pathlib is not loaded here
            return int(file.read().split()[0]) * resource.getpagesize()
    except OSError:
        return 0
