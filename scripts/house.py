"""Measure the size and the shape of the package: lines, files, folders, functions, import cycles, files run.

    python scripts/house.py [TREE]        # TREE is a checkout; without one, this

Lines are all lines of all .py files below minisearch/.  A function's length is counted from its `def` to its
last line, nested functions and methods included.  An import cycle is a set of modules that import one
another, directly or not, at module level or in functions; the import of a module's folder that comes with it
does not count.  Cycles are printed without and with the imports for type checking alone.

For `index data/docs` and one `query`, the command runs in a new process under `sys.setprofile` and
`threading.setprofile`.  Two numbers are printed: the files in which a function was called, and the files in
which any code ran, module and class bodies included, which is every file that was imported.  Child processes
are not counted.
"""

from __future__ import annotations

import ast
import inspect
import json
import os
import runpy
import statistics
import subprocess
import sys
import tempfile
import threading
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from contextlib import suppress
from itertools import chain
from pathlib import Path
from types import FrameType

from measuring import option_parser

PACKAGE = "minisearch"
MAX_LINES = 450  # of a file
MAX_MODULES = 14  # in a folder
QUERY = "undo my last commit but keep the changes"


def shape(tree: Path) -> Iterator[tuple[str, str]]:
    """Every figure about the source, with its name."""
    package = tree / PACKAGE
    sources = {path: path.read_text(encoding="utf-8") for path in sorted(package.rglob("*.py"))}
    modules = {path: ast.parse(source) for path, source in sources.items()}
    n_lines = {path.relative_to(package): source.count("\n") for path, source in sources.items()}
    lengths = function_lengths(modules.values())
    folders = Counter(path.parent for path in n_lines)
    yield "lines", f"{sum(n_lines.values()):,}"
    yield "files", f"{len(n_lines)}"
    yield "entries at the top level", f"{sum(is_entry(path) for path in package.iterdir())}"
    yield "modules a folder", listed({f"{folder}/": n for folder, n in folders.items()})
    yield (
        f"folders above {MAX_MODULES} modules",
        listed({f"{folder}/": n for folder, n in folders.items() if n > MAX_MODULES}),
    )
    yield f"files above {MAX_LINES} lines", listed({str(p): n for p, n in n_lines.items() if n > MAX_LINES})
    yield (
        "functions; median length, longest",
        f"{len(lengths):,}; {statistics.median(lengths or [0]):g}, {max(lengths, default=0)}",
    )
    for name, with_types in (("import cycles", False), ("import cycles, type checking included", True)):
        cycles = import_cycles(import_graph(package, modules, with_types=with_types))
        yield name, "; ".join(", ".join(sorted(cycle)) for cycle in cycles) or "0"


def execution(tree: Path) -> Iterator[tuple[str, str]]:
    """For each command, in how many files it executes code."""
    with tempfile.TemporaryDirectory() as scratch:
        index = str(Path(scratch, "index"))
        for name, arguments in (
            ("index data/docs", ["index", "data/docs", "--index", index, "--offline"]),
            ("query", ["query", QUERY, "--index", index, "--offline"]),
        ):
            called, executed = executed_files(tree, arguments, Path(scratch, "files.json"))
            by_folder = listed(Counter(f"{Path(file).parent}/" for file in called))
            yield (
                f"files with a function called, with any code executed: `{name}`",
                f"{len(called)} ({by_folder}), {len(executed)}",
            )


def is_entry(path: Path) -> bool:
    """Whether a module, a folder of modules or a data file; not what Python or an editor leaves there."""
    return not path.name.startswith(".") and path.name != "__pycache__"


def listed(counts: Mapping[str, int]) -> str:
    """Names with their counts, the highest first."""
    ordered = sorted(counts.items(), key=lambda pair: (-pair[1], pair[0]))
    return ", ".join(f"{name} {n}" for name, n in ordered) or "0"


def function_lengths(modules: Iterable[ast.Module]) -> list[int]:
    """The lines of every function."""
    return [
        (node.end_lineno or node.lineno) - node.lineno + 1
        for module in modules
        for node in ast.walk(module)
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)
    ]


# --- imports -----------------------------------------------------------------------------------------


def import_graph(
    package: Path, modules: Mapping[Path, ast.Module], *, with_types: bool = False
) -> dict[str, set[str]]:
    """By module, the modules of the package that it imports."""
    names = {path: module_name(package, path) for path in modules}
    known = set(names.values())
    return {
        names[path]: set(imported(module, known, with_types=with_types)) - {names[path]}
        for path, module in modules.items()
    }


def module_name(package: Path, path: Path) -> str:
    """The dotted name of a file."""
    parts = path.relative_to(package.parent).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


def imported(module: ast.Module, known: set[str], *, with_types: bool) -> Iterator[str]:
    """The known modules that a module imports: of `from a import b`, a.b if that is a module, else a."""
    waiting: list[ast.AST] = [module]
    while waiting:
        node = waiting.pop()
        if isinstance(node, ast.If) and "TYPE_CHECKING" in ast.dump(node.test) and not with_types:
            waiting += node.orelse
            continue
        if isinstance(node, ast.Import):
            yield from known & {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            names = (f"{node.module}.{alias.name}" for alias in node.names)
            yield from known & {name if name in known else node.module for name in names}
        waiting += ast.iter_child_nodes(node)


def import_cycles(graph: Mapping[str, set[str]]) -> list[set[str]]:
    """The sets of modules that reach one another; the package's own __init__ is left out of it."""
    reached = {name: reachable(graph, name) for name in graph if name != PACKAGE}
    cycles: list[set[str]] = []
    for name, others in reached.items():
        cycle = {other for other in others if name in reached.get(other, ())}
        if cycle and cycle not in cycles:
            cycles.append(cycle)
    return cycles


def reachable(graph: Mapping[str, set[str]], start: str) -> set[str]:
    """The modules that are imported from ``start`` on, directly or not."""
    found: set[str] = set()
    waiting = [start]
    while waiting:
        new = graph[waiting.pop()] - found - {PACKAGE}
        found |= new
        waiting += new
    return found


# --- executed files ----------------------------------------------------------------------------------


def executed_files(tree: Path, arguments: list[str], report: Path) -> tuple[list[str], list[str]]:
    """The files of the tree's package in which a command calls functions, and in which it executes any code.

    The script ends if the command fails.
    """
    command = [sys.executable, str(Path(__file__).resolve()), "--run", str(report), str(tree), *arguments]
    finished = subprocess.run(
        command,
        cwd=tree,
        env={**os.environ, "PYTHONPATH": str(tree)},
        stdout=subprocess.DEVNULL,
        check=False,
    )
    if finished.returncode:
        sys.exit(f"minisearch {' '.join(arguments)} ended with {finished.returncode}")
    called, executed = json.loads(report.read_text(encoding="utf-8"))
    return called, executed


def run(report: Path, tree: Path, arguments: list[str]) -> None:
    """Run a command in this process, and write the lists of files in which code was executed."""
    called: set[str] = set()
    executed: set[str] = set()

    def profile(frame: FrameType, event: str, _: object) -> None:
        if event == "call":
            executed.add(frame.f_code.co_filename)
            if frame.f_code.co_flags & inspect.CO_OPTIMIZED:  # not the body of a module or class
                called.add(frame.f_code.co_filename)

    sys.argv = [PACKAGE, *arguments]
    sys.path[0] = str(tree)
    threading.setprofile(profile)
    sys.setprofile(profile)
    with suppress(SystemExit):
        runpy.run_module(PACKAGE, run_name="__main__", alter_sys=True)
    sys.setprofile(None)
    package = tree / PACKAGE
    own = [
        sorted(str(Path(name).relative_to(package)) for name in names if Path(name).is_relative_to(package))
        for names in (called, executed)
    ]
    report.write_text(json.dumps(own), encoding="utf-8")


def main(arguments: list[str]) -> int:
    """Print the figures as a table."""
    if arguments[:1] == ["--run"]:
        run(Path(arguments[1]), Path(arguments[2]), arguments[3:])
        return 0
    parser = option_parser(__doc__)
    parser.add_argument("tree", nargs="?", type=Path, default=Path(__file__).parents[1], metavar="TREE")
    tree = parser.parse_args(arguments).tree.resolve()
    if not (tree / PACKAGE).is_dir():
        parser.error(f"{tree} has no folder {PACKAGE}")
    print(f"| {PACKAGE}/ | |\n|---|---|")
    for name, value in chain(shape(tree), execution(tree)):
        print(f"| {name} | {value} |", flush=True)
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
