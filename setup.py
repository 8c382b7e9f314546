"""What setup.cfg cannot say: manual pages are made of docstrings and installed beside the commands."""

import os
import sys

from setuptools import Distribution, setup

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
from tools.manual import write


class Everything(Distribution):
    """A distribution whose files are installed in editable mode, too, where setuptools asks for this name."""

    has_data = Distribution.has_data_files


setup(distclass=Everything, data_files=write("build/man"))
