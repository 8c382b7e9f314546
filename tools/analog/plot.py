"""Draws points as an SVG image: plots below each other, with a common axis of time."""

from __future__ import annotations

import time

from tools.analog.series import MINUTE

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

    from tools.analog.points import Points
    from tools.analog.series import Minute

    Curve = tuple[str, str, Callable[[Minute, int], float]]  # its name, its color, and its value of so many seconds

WIDTH, HEIGHT = 900, 190  # of one plot with its labels, in pixels
LEFT, RIGHT, TOP, BOTTOM = 64, 16, 34, 26  # of these, around the curves
LINES = 4  # horizontal ones, at most
TIMES = 8  # labels of the time axis, at most
BLUE, GREEN, RED, ORANGE = "#3b6ea5", "#3f8f4f", "#b8433f", "#d08a2e"
PLOTS: dict[str, tuple[Curve, ...]] = {
    "Messages in the queue": (("most", BLUE, lambda one, seconds: one.queue),),
    "Concurrency": (
        ("average", GREEN, lambda one, seconds: one.busy / seconds),
        ("most", BLUE, lambda one, seconds: one.peak),
    ),
    "Delivery attempts per minute": (
        ("success", GREEN, lambda one, seconds: one.successes * MINUTE / seconds),
        ("deferral", ORANGE, lambda one, seconds: one.deferrals * MINUTE / seconds),
        ("failure", RED, lambda one, seconds: one.failures * MINUTE / seconds),
    ),
    "Messages that left the queue, per minute": (("messages", BLUE, lambda one, seconds: one.left * MINUTE / seconds),),
    "KiB of messages that left the queue, per minute": (
        ("KiB", ORANGE, lambda one, seconds: one.size * MINUTE / seconds / 1024),
    ),
}
PAGE = b"""<!DOCTYPE html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta http-equiv="refresh" content="300">
<title>Mail</title>
</head>
<body>
<h1>Mail</h1>
%b</body>
</html>
"""
HOUR, DAY = 3600, 86400
TICKS = [MINUTE, 5 * MINUTE, 15 * MINUTE, HOUR, 3 * HOUR, 6 * HOUR, DAY, 2 * DAY, 7 * DAY, 14 * DAY, 30 * DAY, 60 * DAY]


def page(points: Points, utc: bool) -> bytes:
    """An SVG image of *points*; dates are UTC or local."""
    height = HEIGHT * len(PLOTS)
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{WIDTH}" height="{height}" viewBox="0 0 {WIDTH} {height}"'
        ' font-family="sans-serif" font-size="11">',
        f'<rect width="{WIDTH}" height="{height}" fill="white"/>',
    ]
    for at, (title, curves) in enumerate(PLOTS.items()):
        parts.append(f'<g transform="translate(0 {at * HEIGHT})">')
        parts += plot(title, curves, points, utc)
        parts.append("</g>")
    return "\n".join([*parts, "</svg>", ""]).encode()


def plot(title: str, curves: tuple[Curve, ...], points: Points, utc: bool) -> list[str]:
    """The elements of one plot."""
    values = [[value(point, points.every) for _, point in points] for _, _, value in curves]
    step = nice(max(map(max, values), default=0) / LINES if points.points else 0)
    top = step * LINES
    parts = [f'<text x="{LEFT}" y="20" font-size="13" font-weight="bold">{title}</text>']
    for at in range(LINES + 1):
        height = y(step * at, top)
        parts.append(f'<path d="M{LEFT} {height:.1f}H{WIDTH - RIGHT}" stroke="#ddd"/>')
        parts.append(f'<text x="{LEFT - 6}" y="{height + 4:.1f}" text-anchor="end">{step * at:g}</text>')
    parts += times(points, utc)
    right = WIDTH - RIGHT
    for (name, color, _), heights in zip(reversed(curves), reversed(values), strict=True):
        parts.append(f'<text x="{right}" y="20" text-anchor="end" fill="{color}">{name}</text>')
        right -= 8 * len(name) + 12
        places = " ".join(f"{x(at, points):.1f},{y(value, top):.1f}" for at, value in enumerate(heights))
        parts.append(f'<polyline points="{places}" fill="none" stroke="{color}" stroke-width="1.3"/>')
    return parts


def x(at: float, points: Points) -> float:
    """Where the point *at* is."""
    return LEFT + (WIDTH - LEFT - RIGHT) * (at + 0.5) / len(points.points)


def y(value: float, top: float) -> float:
    """Where *value* is, if *top* is at the top."""
    return TOP + (HEIGHT - TOP - BOTTOM) * (1 - value / top)


def nice(step: float) -> float:
    """The next round number from *step* on: 1, 2 or 5 with zeros."""
    power = 1.0
    while power < step:
        power *= 10
    while power / 10 >= max(step, 0.001):
        power /= 10
    return next(power * part for part in (0.2, 0.5, 1) if power * part >= step or part == 1)


def times(points: Points, utc: bool) -> list[str]:
    """Labels of the time axis and lines above them."""
    length = points.every * len(points.points)
    tick = next((tick for tick in TICKS if length / tick <= TIMES), length or 1)
    form = "%H:%M" if tick < DAY else "%d %b"
    calendar = time.gmtime if utc else time.localtime
    offset = calendar(points.since).tm_gmtoff
    parts = []
    second = -(-(points.since + offset) // tick) * tick - offset
    while points.points and second <= points.since + length:
        place = LEFT + (WIDTH - LEFT - RIGHT) * (second - points.since) / length
        label = time.strftime(form, calendar(second))
        parts.append(f'<path d="M{place:.1f} {TOP}V{HEIGHT - BOTTOM}" stroke="#eee"/>')
        parts.append(f'<text x="{place:.1f}" y="{HEIGHT - BOTTOM + 14}" text-anchor="middle">{label}</text>')
        second += tick
    return parts


def index(names: list[bytes]) -> bytes:
    """A page that shows the images *names*."""
    images = [
        b'<h2>%b</h2>\n<p><img src="%b" alt="%b"></p>\n' % (word.capitalize(), name, word)
        for name in names
        for word in [name.partition(b".")[0]]
    ]
    return PAGE % b"".join(images)
