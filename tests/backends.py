"""The backends whose library is installed: Annoy has to be built, which needs a C++ compiler."""

from __future__ import annotations

import importlib.util

from minisearch.manifest import BACKENDS

INSTALLED = tuple(name for name in BACKENDS if name == "flat" or importlib.util.find_spec(name))
