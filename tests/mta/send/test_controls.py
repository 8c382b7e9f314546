from __future__ import annotations

import pytest
from sending import Home

from mta.send.controls import Controls
from supervise.errors import Temporary


def test_what_is_not_said_is_the_default(queue: Home) -> None:
    controls = Controls()
    assert controls.concurrency == (10, 20)
    assert controls.lifetime == 604800
    assert controls.bouncefrom == b"MAILER-DAEMON"
    assert controls.bouncehost == controls.envnoathost == b"mail.example.org"
    assert controls.doublebounceto == b"postmaster@mail.example.org"
    assert controls.locals == {b"example.org", b"localhost"}


def test_without_locals_only_me_is_local_and_without_me_nothing_starts(queue: Home) -> None:
    (queue.home / "control/locals").unlink()
    assert Controls().locals == {b"mail.example.org"}
    (queue.home / "control/me").unlink()
    with pytest.raises(Temporary):
        Controls()


def test_without_me_the_name_of_the_missing_file_stands_for_the_host(queue: Home) -> None:
    (queue.home / "control/me").unlink()
    controls = Controls()
    assert (controls.bouncehost, controls.envnoathost) == (b"bouncehost", b"envnoathost")
    assert controls.doublebounceto == b"postmaster@doublebouncehost"


def test_reading_again_takes_both_files_or_neither(queue: Home) -> None:
    queue.control("virtualdomains", "virt.example:joe")
    controls = Controls()
    queue.control("locals", "new.example")
    (queue.home / "control/virtualdomains").unlink()
    (queue.home / "control/virtualdomains").mkdir()
    with pytest.raises(Temporary, match="unable to reread control/virtualdomains"):
        controls.reread()
    assert controls.locals == {b"example.org", b"localhost"}
    (queue.home / "control/virtualdomains").rmdir()
    controls.reread()
    assert controls.locals == {b"new.example"}
    assert controls.virtualdomains == {}
