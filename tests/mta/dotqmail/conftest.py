"""A home whose queue keeps what it gets, and what qmail-local says to programs."""

from __future__ import annotations

from pathlib import Path

import pytest
from injecting import Home

SAID = {
    "SENDER": "joe@irs.gov",
    "NEWSENDER": "bill-owner@heaven.af.mil",
    "DTLINE": "Delivered-To: bill@heaven.af.mil\n",
    "RPLINE": "Return-Path: <joe@irs.gov>\n",
    "UFLINE": "From joe@irs.gov Thu Jan 01 00:00:00 2026\n",
    "LOCAL": "bill-Ext",
    "HOST": "heaven.af.mil",
}


@pytest.fixture
def home(tmp_path: Path) -> Home:
    home = Home(tmp_path)
    home.env.update(SAID)
    return home
