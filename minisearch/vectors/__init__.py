"""Vector indexes: one contract, several libraries, one row for each in the table of backends.

`backend_names` imports nothing, `load_backend` imports the library, and `open_base` does only if it must.  To
add a backend, add a module beside these and a row in the table.  The choices of the command line, the install
hint and the contract tests follow from the row.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, NamedTuple

from minisearch.errors import BackendUnavailable, InputError

if TYPE_CHECKING:
    from pathlib import Path

    from minisearch.types import IntArray
    from minisearch.vectors.base import VectorIndex

__all__ = ["backend_names", "load_backend", "open_base"]


class _Backend(NamedTuple):
    module: str
    class_name: str
    install: str
    opener: str | None = None  # "module:function" that opens some files without the library


_BACKENDS = {
    "faiss": _Backend(
        "minisearch.vectors.faiss",
        "FaissIndex",
        "pip install faiss-cpu",
        "minisearch.vectors.flat:open_list",
    ),
    "annoy": _Backend("minisearch.vectors.annoy", "AnnoyIndex", 'pip install "minisearch[annoy]"'),
    "flat": _Backend("minisearch.vectors.flat", "FlatIndex", "pip install numpy"),
}


def backend_names() -> tuple[str, ...]:
    """Every backend by name, installed or not."""
    return tuple(_BACKENDS)


def load_backend(name: str) -> type[VectorIndex]:
    """The index class called ``name``.

    Raises InputError for a name that is not in ``backend_names()``, BackendUnavailable when the
    library behind it does not import.
    """
    if name not in _BACKENDS:
        raise InputError(f"there is no vector index called {name!r}; choose from {', '.join(_BACKENDS)}")
    backend = _BACKENDS[name]
    try:
        module = import_module(backend.module)
    except ImportError as error:
        raise BackendUnavailable(
            f"the {name} index needs a library that cannot be imported ({error}); install it with: "
            f"{backend.install}"
        ) from error
    index_class: type[VectorIndex] = getattr(module, backend.class_name)
    return index_class


def open_base(name: str, path: Path, ids: IntArray, dimension: int) -> VectorIndex:
    """The base that backend ``name`` saved at ``path``, its library imported only if the file needs it.

    Raises as `load_backend` and as `VectorIndex.load`.
    """
    index: VectorIndex | None = None
    if name in _BACKENDS and (opener := _BACKENDS[name].opener):
        module, _, function = opener.partition(":")
        index = getattr(import_module(module), function)(path, ids, dimension)
    return index if index is not None else load_backend(name).load(path, ids, dimension)
