"""Programs of a site that commands run before or after what they do.

A hook is an executable file with the name of its occasion in /etc/vmailmgr, or in `.vmailmgr` in the domain's home.  If
both have one, that of all domains runs first, and the other only if it exits 0.
"""

from __future__ import annotations

import os
import stat

from mta.child import begin, wait
from supervise.command import Become
from supervise.errors import Temporary
from tools.vmailmgr.settings import Settings


def run(settings: Settings, name: bytes) -> int:
    """Run the hooks called *name*; 0, also when there are none, or the exit code of the one that failed.

    Raises:
        Temporary: one crashed or cannot be started now.
    """
    return next((code for code in map(wait, map(begin, there(settings, name))) if code), 0)


def there(settings: Settings, name: bytes) -> list[Become]:
    """The hooks called *name*, in the order in which they run.

    Raises:
        Temporary: that cannot be known now.
    """
    paths = [folder + b"/" + name for folder in reversed(settings.folders)]
    return [Become([path]) for path in paths if is_hook(path)]


def is_hook(path: bytes) -> bool:
    try:
        mode = os.stat(path).st_mode
    except (FileNotFoundError, NotADirectoryError):
        return False
    except OSError as error:
        raise Temporary(b"unable to find " + path, error) from None
    return stat.S_ISREG(mode) and mode & 0o111 != 0
