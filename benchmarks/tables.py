"""Figures of systems side by side, as Markdown tables."""

from __future__ import annotations

import statistics


def spread(values: list[float]) -> str:
    """The median of *values* and, if they are not all the same, their range; a dash when there are none."""
    if not values:
        return "-"
    low, middle, high = (short(each) for each in (min(values), statistics.median(values), max(values)))
    return middle if low == high else f"{middle} [{low}..{high}]"


def short(value: float) -> str:
    return f"{value:.3g}" if abs(value) < 1000 else f"{value:.0f}"


def compare(corner: str, rows: dict[str, dict[str, list[float]]]) -> str:
    """A table with a column for each system, and one for its ratios to the first system, round by round.

    Args:
        corner: what stands above the labels.
        rows: label -> system -> what was measured, one value for each round.
    """
    first, *others = dict.fromkeys(system for row in rows.values() for system in row)
    heading = [corner, first, *(word for system in others for word in (system, "ratio"))]
    lines = [heading, ["---"] * len(heading)]
    for label, row in rows.items():
        cells = [label, spread(row.get(first, []))]
        for system in others:
            values = row.get(system, [])
            cells += [spread(values), spread(ratios(values, row.get(first, [])))]
        lines.append(cells)
    return "\n".join("| " + " | ".join(cells) + " |" for cells in lines)


def ratios(values: list[float], reference: list[float]) -> list[float]:
    """Each of *values* to that of the same round in *reference*; none where that is 0."""
    return [value / other for value, other in zip(values, reference, strict=False) if other]
