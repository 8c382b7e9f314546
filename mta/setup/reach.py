"""Whether the users who run our commands can reach them.

Services, users and `.qmail` files start the commands as many users.  An environment made with root's own interpreter,
below /root, works for root alone: each service would end as soon as it has become somebody else.
"""

from __future__ import annotations

import os
import sys

from mta.home import plain
from mta.setup.plan import commands_folder


def needed() -> list[bytes]:
    """The real places of the commands, the interpreter, its library, and our packages."""
    files = [sys.executable, os.__file__, os.path.dirname(os.path.dirname(__file__))]
    return [os.path.realpath(place) for place in (commands_folder(), *map(os.fsencode, files))]


def closed_folders() -> dict[bytes, bytes]:
    """Folder that other users may not enter -> the first of the needed places that is below it.

    In a plain user's home there are no other users.
    """
    closed: dict[bytes, bytes] = {}
    if plain():
        return closed
    for place in needed():
        folder = place
        while folder != b"/":
            if not os.stat(folder).st_mode & 0o001 and os.path.isdir(folder):
                closed.setdefault(folder, place)
            folder = os.path.dirname(folder)
    return closed


def closed() -> list[bytes]:
    """What keeps other users from the commands, a line each."""
    return [
        b"%s: closed to other users, who must reach %s; make the environment where every user can reach it" % found
        for found in closed_folders().items()
    ]
