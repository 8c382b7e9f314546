"""The recorded runs of the C originals hold."""

from __future__ import annotations

import json
import os
from multiprocessing import get_context

import pytest
from replay import KIT, Vector, differences, lacking, play

# What we do otherwise on purpose, and why.
OTHERWISE: dict[str, str] = {
    "qmail-newu/catchall": "its users/assign names the home of the recording, which the expected cdb has as ours",
}


def vectors() -> dict[str, list[Vector]]:
    groups: dict[str, list[Vector]] = {}
    for path in sorted(KIT.glob("*.json")):
        for vector in json.loads(path.read_text()):
            groups.setdefault(vector["name"].split("/")[0], []).append(vector)
    return groups


def difference(vector: Vector, forked: bool) -> str:
    """What *vector* does otherwise than recorded, or nothing."""
    lines = differences(vector, play(vector, forked))
    return "\n".join([f"{vector['name']}: {vector.get('about', '')}", *lines]) if lines else ""


@pytest.mark.parametrize("forked", [False, True], ids=["installed", "forked"])
@pytest.mark.parametrize("group", sorted(vectors()))
def test_recorded_runs_hold(group: str, forked: bool) -> None:
    """By the installed command, and by the same function in a forked child."""
    lacks = {vector["name"]: lacking(vector) for vector in vectors()[group] if lacking(vector)}
    assert not (lacks and "CI" in os.environ), f"nothing is skipped in CI: {lacks}"
    chosen = [vector for vector in vectors()[group] if vector["name"] not in OTHERWISE and vector["name"] not in lacks]
    assert chosen, "this machine lacks what every run of the group needs"
    with get_context("fork").Pool(4) as pool:  # processes: replaying forks, which threads do not like
        differing = [text for text in pool.starmap(difference, [(vector, forked) for vector in chosen], 1) if text]
    assert not differing, "\n".join(differing)
