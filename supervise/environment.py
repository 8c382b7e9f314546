"""The environment, changed and put back at the price of what differs.

`os.environb` checks and encodes each name at each look, so that comparing all variables, which a worker does after each
job, would cost more than the job.  Here is what it keeps the variables in.
"""

from __future__ import annotations

import os

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable

    Variable = tuple[bytes, bytes | None]

VARIABLES: dict[bytes, bytes] = os.environb._data  # type: ignore[attr-defined]  # which os.environ shares; only read it


def copy() -> dict[bytes, bytes]:
    """All variables as they are now."""
    return VARIABLES.copy()


def change(changes: Iterable[Variable]) -> None:
    """Set the variables in *changes*, unset those whose value is None.

    Raises:
        ValueError: a name or a value is none that an environment can hold.
    """
    for name, value in changes:
        if value is not None:
            os.putenv(name, value)
            VARIABLES[name] = value
        elif name in VARIABLES:
            os.unsetenv(name)
            del VARIABLES[name]


def restore(saved: dict[bytes, bytes]) -> None:
    """Make all variables what they were at the time of `copy`."""
    if saved != VARIABLES:
        change([(name, None) for name in VARIABLES.keys() - saved.keys()])
        change(saved.items() - VARIABLES.items())
