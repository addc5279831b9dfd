"""Every test that asks for a backend runs over all of them."""

from __future__ import annotations

import pytest

from tests.vectors.index_cases import ALL_BACKENDS, index_class


@pytest.fixture(params=ALL_BACKENDS)
def backend(request):
    return index_class(request.param)
