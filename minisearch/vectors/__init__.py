"""Vector indexes: one contract, several libraries.

To add a backend, add a module of its name beside these, with the class ``NameIndex``, and a row in
`manifest.BACKENDS`.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING

from minisearch.errors import BackendUnavailable, InputError
from minisearch.manifest import BACKENDS

if TYPE_CHECKING:
    from pathlib import Path

    from minisearch.types import IntArray
    from minisearch.vectors.base import VectorIndex

__all__ = ["load_backend", "open_base"]


def load_backend(name: str) -> type[VectorIndex]:
    """The index class of a backend; this imports its library.

    Raises InputError for a name that is not in `manifest.BACKENDS`, BackendUnavailable when the library
    cannot be imported.
    """
    if name not in BACKENDS:
        raise InputError(f"there is no vector index called {name!r}; choose from {', '.join(BACKENDS)}")
    try:
        module = import_module(f"minisearch.vectors.{name}")
    except ImportError as error:
        raise BackendUnavailable(
            f"the {name} index needs a library that cannot be imported ({error}); install it with: "
            f"{BACKENDS[name]}"
        ) from error
    index_class: type[VectorIndex] = getattr(module, f"{name.capitalize()}Index")
    return index_class


def open_base(name: str, path: Path, ids: IntArray, dimension: int) -> VectorIndex:
    """The base that backend ``name`` saved at ``path``; Raises as `load_backend` and as `VectorIndex.load`.

    A small one is a `FlatIndex`, whatever the backend: that needs no library.
    """
    return load_backend("flat" if path.suffix == ".npy" else name).load(path, ids, dimension)
