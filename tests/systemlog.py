"""A log of our own in place of the system's, for the commands that speak with syslog."""

from __future__ import annotations

import json
import syslog
from pathlib import Path

STAND_IN = """\
import json, sys
sys.modules["syslog"] = sys.modules[__name__]
globals().update({constants})
def told(*what):
    with open({file!r}, "a") as file:
        file.write(json.dumps(what) + "\\n")
def openlog(tag, options, facility):
    told(tag, options, facility)
def syslog(level, text):
    told(level, text)
def closelog():
    pass
"""


class SystemLog:
    """Where the lines go of commands whose environment has *env*.

    Args:
        folder: where it is kept.
    """

    def __init__(self, folder: Path) -> None:
        self.file = folder / "log"
        constants = {name: value for name, value in vars(syslog).items() if isinstance(value, int)}
        (folder / "sitecustomize.py").write_text(STAND_IN.format(constants=constants, file=str(self.file)))
        self.env = {"PYTHONPATH": str(folder)}

    def read(self) -> list[list[object]]:
        """What it was told: tag, options and facility when it was opened, then level and text of each line."""
        return [json.loads(line) for line in self.file.read_text().splitlines()] if self.file.exists() else []
