"""Fixtures of the tests about lists of addresses."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from blocklists import RECORDS
from nameserver import serving


@pytest.fixture(scope="session")
def cache() -> Iterator[str]:
    """A name server that knows the lists, as `DNSCACHEIP` takes it."""
    with serving(RECORDS) as address:
        yield address
