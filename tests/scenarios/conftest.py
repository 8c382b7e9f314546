"""Running systems of both kinds for the scenarios."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from instance import Instance
from sink import Sink

KINDS = [pytest.param(False, id="plain"), pytest.param(True, id="root", marks=pytest.mark.root)]
CONTROLS = {
    "locals": "mail.example\nhack.example",
    "percenthack": "hack.example",
    "virtualdomains": "virtual.example:joe-virtual",
}


@pytest.fixture(scope="session")
def sink() -> Iterator[Sink]:
    """Another host, which takes all mail."""
    with Sink() as sink:
        yield sink


@pytest.fixture(scope="session", params=KINDS)
def mail(request: pytest.FixtureRequest, sink: Sink) -> Iterator[Instance]:
    """A running system that tests share: each leaves services and queue as it found them.

    Mail for sink.example goes to `sink`.
    """
    with Instance(request.param, controls=CONTROLS) as mail:
        mail.route("sink.example", sink.port)
        yield mail


@pytest.fixture(params=KINDS)
def own(request: pytest.FixtureRequest, sink: Sink) -> Iterator[Instance]:
    """A running system of the test's own."""
    with Instance(request.param, controls=CONTROLS) as mail:
        mail.route("sink.example", sink.port)
        yield mail
