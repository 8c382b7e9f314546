#!/usr/bin/env python3
"""What a user waits for, and what a large site looks up for each message.

    benchmarks/submission.py [--c-qmail HOME] [--rounds 5] [--messages 50]

A shell gives qmail-inject small messages, one after another, and waits for each: ours beside that of the C qmail
that is named, each with its own running system.  The interpreter's own start, with our packages and with none, is
stated apart.  Look-ups are counted in one process: a recipient among 10,000 virtual domains, as qmail-send does it,
and one among 200,000 assignments, as qmail-lspawn does it, each time with the opening of users/cdb.
"""

from __future__ import annotations

import argparse
import os
import random
import subprocess
import sys
import time
from pathlib import Path

from systems import HOST, RECIPIENT, CQmail, Pyqmail, Supervised, until
from tables import compare, spread
from usage import scratch

MESSAGE = b"To: %s\nSubject: hello\n\nA small message.\n"
DOMAINS, ASSIGNMENTS = 10_000, 200_000
LOOK_UPS = 20_000


def inject(system: Supervised, messages: int) -> float:
    """Milliseconds from the start of a shell's qmail-inject to its end, on average; all messages must arrive."""
    there = len(list((system.maildir / "new").iterdir()))
    loop = f"for n in $(seq {messages}); do qmail-inject <message || exit; done"
    (system.scratch / "message").write_bytes(MESSAGE % RECIPIENT["local"].encode())
    environment = {"PATH": f"{system.home}/bin:{system.path()}", "QMAILHOME": str(system.home), "USER": "box"}
    began = time.monotonic()
    subprocess.run(["sh", "-c", loop], cwd=system.scratch, env=environment, check=True)
    seconds = time.monotonic() - began
    arrived = there + messages
    until(lambda: len(list((system.maildir / "new").iterdir())) == arrived, 60, f"{system.name}: mail is missing")
    return seconds / messages * 1000


def start(*options: str) -> float:
    """Milliseconds that the interpreter takes to start and end."""
    command = f"for n in $(seq 20); do {sys.executable} {' '.join(options)} -c ''; done"
    began = time.monotonic()
    subprocess.run(["sh", "-c", command], check=True)
    return (time.monotonic() - began) / 20 * 1000


def among_domains(folder: Path) -> float:
    """Microseconds to find where the mail of a recipient goes."""
    from mta.send.controls import Controls
    from mta.send.rewrite import LOCAL, rewrite

    (folder / "control").mkdir(parents=True)
    (folder / "control/me").write_text(HOST + "\n")
    lines = [f"domain{n}.example:user{n}" for n in range(DOMAINS)]
    (folder / "control/virtualdomains").write_text("\n".join([*lines, ""]))
    os.environ["QMAILHOME"] = str(folder)
    controls = Controls()
    addresses = [b"anybody@domain%d.example" % random.randrange(DOMAINS) for _ in range(LOOK_UPS)]
    began = time.monotonic()
    found = [rewrite(address, controls) for address in addresses]
    seconds = time.monotonic() - began
    assert all(channel == LOCAL and b"-anybody@" in address for channel, address in found)
    return seconds / LOOK_UPS * 1e6


def among_assignments(folder: Path) -> float:
    """Microseconds to find whose an address is."""
    from mta.local.users import look_up, records
    from ucspi import cdb

    lines = b"".join(b"=user%d:u:1:1:/home:::\n+user%d-:u:1:1:/home:-::\n" % (n, n) for n in range(ASSIGNMENTS // 2))
    name = bytes(folder / "users.cdb")
    cdb.write(name, name + b".new", records(lines + b".\n"))
    locals_ = [
        b"user%d%s" % (random.randrange(ASSIGNMENTS // 2), ext) for ext in (b"", b"-list") for _ in range(LOOK_UPS)
    ]
    began = time.monotonic()
    for local in locals_:
        table = cdb.Cdb.open(name)
        assert table
        assert look_up(table, local)
        table.close()
    return (time.monotonic() - began) / len(locals_) * 1e6


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--c-qmail", type=Path, metavar="HOME", help="a C qmail to measure beside ours")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--messages", type=int, default=50, help="in a round")
    wish = parser.parse_args()
    figures: dict[str, dict[str, list[float]]] = {"qmail-inject, ms": {}}
    starts: dict[str, list[float]] = {"python3": [], "python3 -I -S": []}
    domains, assignments = [], []
    with scratch() as folder:
        folder.chmod(0o755)  # for those who deliver
        systems: list[Supervised] = [Pyqmail(folder, 1)]
        if wish.c_qmail:
            systems.insert(0, CQmail(folder, 1, wish.c_qmail))
        try:
            for system in systems:
                system.start()
                system.wait_for_queue()
            for number in range(wish.rounds):
                for system in systems:
                    figures["qmail-inject, ms"].setdefault(system.name, []).append(inject(system, wish.messages))
                starts["python3"].append(start())
                starts["python3 -I -S"].append(start("-I", "-S"))
                domains.append(among_domains(folder / f"home{number}"))
                assignments.append(among_assignments(folder / f"home{number}"))
        finally:
            for system in systems:
                system.stop()
    print(compare("a message", figures), "\n")
    print("| alone | |\n| --- | --- |")
    for name, values in starts.items():
        print(f"| `{name}`, ms | {spread(values)} |")
    print(f"| a recipient among {DOMAINS:,} virtual domains, us | {spread(domains)} |")
    print(f"| an address among {ASSIGNMENTS:,} assignments, us | {spread(assignments)} |")


if __name__ == "__main__":
    main()
