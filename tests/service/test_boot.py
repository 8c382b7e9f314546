"""What starts us with the machine names programs and places that are there."""

from __future__ import annotations

import configparser
import re
import shlex
import shutil
import subprocess
from pathlib import Path

import pytest
from commands import BIN

from mta.setup.services import SERVICES, STANDARD_HOME

ROOT = Path(__file__).resolve().parents[2]
SERVICE = ROOT / "service"
HOME = STANDARD_HOME.decode().partition("=")[2].strip('"')
SVSCAN = [f"{HOME}/bin/svscan", "-s", f"{HOME}/service"]


def setup() -> configparser.ConfigParser:
    config = configparser.ConfigParser()
    config.read(ROOT / "setup.cfg")
    return config


def commands() -> set[str]:
    scripts = setup()["options.entry_points"]["console_scripts"]
    return {line.partition("=")[0].strip() for line in scripts.strip().splitlines()}


def seconds(time: str) -> int:
    """A time as systemd writes it, of one unit."""
    number, unit = re.fullmatch(r"(\d+)(s|min|)", time).groups()  # type: ignore[union-attr]
    return int(number) * (60 if unit == "min" else 1)


# -- systemd -----------------------------------------------------------------------------------


def unit() -> configparser.ConfigParser:
    config = configparser.ConfigParser(interpolation=None, delimiters=("=",))
    config.optionxform = str  # type: ignore[assignment,method-assign]
    config.read(SERVICE / "pyqmail.service")
    return config


def test_the_unit_starts_svscan_on_the_homes_services_and_stops_it_by_term() -> None:
    service = unit()["Service"]
    assert service["ExecStart"].split() == SVSCAN
    assert "svscan" in commands()
    assert service["Environment"].startswith(f"PATH={HOME}/bin:")
    assert "ExecStop" not in service and "KillSignal" not in service
    assert service["ExecReload"] == "/bin/kill -HUP $MAINPID"


def test_systemd_kills_nothing_before_svscan_has_ended_or_its_time_is_over() -> None:
    service = unit()["Service"]
    assert service["KillMode"] == "mixed"
    assert seconds(service["TimeoutStopSec"]) >= 60
    assert service["Delegate"] == "yes"


def test_svscan_comes_back_for_ever() -> None:
    assert unit()["Service"]["Restart"] == "always"
    assert unit()["Unit"]["StartLimitIntervalSec"] == "0"
    assert unit()["Service"]["OOMPolicy"] == "continue"


def test_deliveries_may_do_what_their_users_may() -> None:
    harmful = {
        "NoNewPrivileges", "PrivateTmp", "PrivateDevices", "PrivateUsers", "ProtectHome", "ProtectSystem", "User",
        "RestrictSUIDSGID", "RestrictNamespaces", "SystemCallFilter", "MemoryDenyWriteExecute", "DynamicUser",
    }  # fmt: skip
    assert not harmful & set(unit()["Service"])
    lost = set(unit()["Service"]["CapabilityBoundingSet"].lstrip("~").split())
    needed = "CHOWN DAC_OVERRIDE DAC_READ_SEARCH FOWNER KILL NET_BIND_SERVICE SETGID SETUID SYS_RESOURCE"
    assert not {f"CAP_{name}" for name in needed.split()} & lost


@pytest.mark.skipif(not shutil.which("systemd-analyze"), reason="systemd is not installed")
def test_systemd_finds_nothing_wrong_with_the_unit(tmp_path: Path) -> None:
    copy = tmp_path / "pyqmail.service"
    copy.write_text((SERVICE / "pyqmail.service").read_text().replace(f"={HOME}/bin/svscan", f"={BIN}/svscan"))
    done = subprocess.run(["systemd-analyze", "verify", "--man=no", copy], capture_output=True, text=True, check=False)
    about_us = [line for line in (done.stdout + done.stderr).splitlines() if "pyqmail" in line]
    assert (done.returncode, about_us) == (0, [])


# -- OpenRC ------------------------------------------------------------------------------------


def openrc(*names: str) -> list[str]:
    """What the OpenRC script sets, for a service of the name pyqmail."""
    show = "".join(f'; printf "%s\\n" "${name}"' for name in names)
    done = subprocess.run(
        ["sh", "-euc", f". {SERVICE}/pyqmail.openrc{show}"],
        env={"RC_SVCNAME": "pyqmail"},
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stderr == ""
    return done.stdout.splitlines()


def test_the_openrc_script_starts_the_same_svscan() -> None:
    command, arguments, folder, pidfile = openrc("command", "command_args", "required_dirs", "pidfile")
    assert [command, *arguments.split()] == SVSCAN
    assert folder == f"{HOME}/service"
    assert pidfile == "/run/pyqmail.pid"


def test_openrc_gives_svscan_the_time_that_systemd_gives() -> None:
    schedule, respawns = openrc("retry", "respawn_max")
    assert schedule.split("/") == ["SIGTERM", str(seconds(unit()["Service"]["TimeoutStopSec"])), "SIGKILL", "5"]
    assert respawns == "0"


def test_the_openrc_script_has_the_functions_that_it_announces() -> None:
    text = (SERVICE / "pyqmail.openrc").read_text()
    assert text.startswith("#!/sbin/openrc-run\n")
    (announced,) = openrc("extra_started_commands")
    for name in ("depend", *announced.split()):
        assert f"\n{name}() {{\n" in text
    needed = re.findall(r"PATH=(\S+?):", text)
    assert needed == [f"{HOME}/bin"]


# -- sysvinit and containers -------------------------------------------------------------------


def test_the_line_for_inittab_starts_a_command_of_ours_on_the_homes_services() -> None:
    (line,) = re.findall(r"^ +(SV:.*)$", (SERVICE / "README.md").read_text(), re.MULTILINE)
    name, levels, action, process = line.split(":")
    assert len(name) <= 4 and len(process) <= 127, "what sysvinit takes"
    assert (levels, action) == ("2345", "respawn")
    program, folder = process.split()
    assert (Path(program).parent, Path(program).name in commands(), folder) == (
        Path(HOME, "bin"),
        True,
        f"{HOME}/service",
    )


def instructions() -> list[tuple[str, str]]:
    """The instructions of the Containerfile with their arguments, continued lines joined."""
    text = (SERVICE / "container" / "Containerfile").read_text().replace("\\\n", " ")
    return [
        (word, rest.strip())
        for word, _, rest in (line.partition(" ") for line in text.splitlines() if line and not line.startswith("#"))
    ]


def test_the_container_gets_all_that_an_installation_needs() -> None:
    copied = [word for name, rest in instructions() if name == "COPY" for word in shlex.split(rest)[:-1]]
    assert all((ROOT / word).exists() for word in copied)
    packages = {name.strip().rstrip("*") for name in setup()["options.packages.find"]["include"].strip().splitlines()}
    about = setup()["metadata"]
    read = about["long_description"].removeprefix("file:").split() + about["license_files"].split()
    assert {*packages, *read, "setup.cfg", "setup.py", "pyproject.toml"} == set(copied)


def test_svscan_is_process_1_of_the_container_and_found_where_it_was_installed() -> None:
    by_name = dict(instructions())
    runs = " ".join(rest for name, rest in instructions() if name == "RUN")
    (environment,) = re.findall(r"venv (\S+)", runs)
    assert by_name["ENTRYPOINT"] == f'["{environment}/bin/svscan", "-s", "/service"]'
    assert by_name["ENV"].startswith(f"PATH={environment}/bin:")
    assert f"ln -s {HOME}/service /service" in runs
    assert f'"{HOME}"' in by_name["VOLUME"]
    assert "qmail-setup" in commands()


def test_the_container_is_asked_about_services_that_there_are() -> None:
    text = (SERVICE / "container" / "Containerfile").read_text()
    asked = {Path(word).name for word in re.findall(r"/service/(\S+)", text) if not word.startswith("container")}
    assert asked and asked <= {name.decode() for name in SERVICES}


# -- all ---------------------------------------------------------------------------------------


def test_the_readme_names_what_is_there() -> None:
    text = (SERVICE / "README.md").read_text()
    for name in ("pyqmail.service", "pyqmail.openrc", "container/Containerfile"):
        assert f"`{name}`" in text and (SERVICE / name).exists()
    assert "cp service/pyqmail.service /etc/systemd/system/" in (ROOT / "README.md").read_text()


@pytest.mark.parametrize("name", ["pyqmail.service", "pyqmail.openrc"])
def test_units_are_installed_with_the_package(name: str) -> None:
    patterns = setup()["options.package_data"]["service"].replace(" ", "").split(",")
    assert any(Path(name).match(pattern) for pattern in patterns)
