"""Vector indexes: one contract, several libraries, one row for each in the table of backends.

`backend_names` imports nothing, `load_backend` imports the library.  To add a backend, add a module beside
these, a row in the table and a name in `manifest.BACKENDS`.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, NamedTuple

from minisearch.errors import BackendUnavailable, InputError, install_line

if TYPE_CHECKING:
    from pathlib import Path

    from minisearch.types import IntArray
    from minisearch.vectors.base import VectorIndex

__all__ = ["backend_names", "load_backend", "open_base"]


class _Backend(NamedTuple):
    module: str
    class_name: str
    install: str


_BACKENDS = {
    "faiss": _Backend("minisearch.vectors.faiss", "FaissIndex", "pip install faiss-cpu"),
    "annoy": _Backend("minisearch.vectors.annoy", "AnnoyIndex", install_line("annoy")),
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
    """The base that backend ``name`` saved at ``path``; Raises as `load_backend` and as `VectorIndex.load`.

    A small one is a `FlatIndex`, whatever the backend: that needs no library.
    """
    return load_backend("flat" if path.suffix == ".npy" else name).load(path, ids, dimension)
