"""Rules of the house that a machine can hold us to."""

from __future__ import annotations

import ast
import configparser
import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
ORDER = ["supervise", "ucspi", "mta", "tools"]
MODULES = sorted(path for package in ORDER for path in ROOT.glob(f"{package}/**/*.py"))


def commands() -> dict[str, str]:
    """The map of the house: command -> module."""
    config = configparser.ConfigParser()
    config.read(ROOT / "setup.cfg")
    lines = config["options.entry_points"]["console_scripts"].strip().splitlines()
    found = {name.strip(): target.split(":")[0].strip() for name, target in (line.split("=") for line in lines)}
    scripts = [ROOT / line.strip() for line in config["options"]["scripts"].strip().splitlines()]
    return found | {script.name: script_module(script) for script in scripts}


def script_module(script: Path) -> str:
    """The module whose `main` a script of ours calls; pip makes none for its name."""
    found = re.fullmatch(
        r"#!python\nimport sys\n\nfrom (\S+) import main\n\nsys.exit\(main\(\)\)\n", script.read_text()
    )
    assert found, script
    return found[1]


def module_path(module: str) -> Path:
    return ROOT / (module.replace(".", "/") + ".py")


def imported(path: Path) -> set[str]:
    """The top-level packages that *path* imports, at the top or lazily."""
    names: set[str] = set()
    for node in ast.walk(ast.parse(path.read_bytes())):
        if isinstance(node, ast.Import):
            names |= {alias.name.split(".")[0] for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            names.add(node.module.split(".")[0])
    return names


def test_imports_run_down_the_layers() -> None:
    wrong = [
        f"{path.relative_to(ROOT)} imports {name}"
        for path in MODULES
        for name in imported(path)
        if name in ORDER[ORDER.index(path.relative_to(ROOT).parts[0]) + 1 :]
    ]
    assert not wrong


def test_only_the_program_and_nursery_modules_fork_or_exec() -> None:
    words = {"fork", "forkpty", "vfork", "execv", "execve", "execvp", "execvpe", "posix_spawn", "system", "popen"}
    wrong = [
        f"{path.relative_to(ROOT)}: os.{node.attr}"
        for path in MODULES
        if path.relative_to(ROOT).as_posix() not in ("supervise/program.py", "supervise/nursery.py")
        for node in ast.walk(ast.parse(path.read_bytes()))
        if isinstance(node, ast.Attribute)
        and node.attr in words
        and isinstance(node.value, ast.Name)
        and node.value.id == "os"
    ]
    assert not wrong


def test_only_the_files_module_renames_and_links() -> None:
    wrong = [
        f"{path.relative_to(ROOT)}: os.{node.attr}"
        for path in MODULES
        if path.relative_to(ROOT).as_posix() != "supervise/files.py"
        for node in ast.walk(ast.parse(path.read_bytes()))
        if isinstance(node, ast.Attribute)
        and node.attr in ("rename", "link", "replace")
        and isinstance(node.value, ast.Name)
        and node.value.id == "os"
    ]
    assert not wrong


def test_nobody_prints_logs_or_uses_a_shell_by_library() -> None:
    banned = {"logging", "subprocess", "multiprocessing", "threading", "asyncio"}
    wrong = [f"{path.relative_to(ROOT)}: {name}" for path in MODULES for name in imported(path) & banned]
    assert not wrong


def test_modules_keep_no_mutable_state() -> None:
    """A name at module level in lower case, bound to a list, dict or set, would outlive a worker's job."""
    wrong = []
    for path in MODULES:
        for node in ast.parse(path.read_bytes()).body:
            targets = (
                node.targets
                if isinstance(node, ast.Assign)
                else [node.target]
                if isinstance(node, ast.AnnAssign)
                else []
            )
            mutable = isinstance(
                getattr(node, "value", None), (ast.List, ast.Dict, ast.Set, ast.ListComp, ast.DictComp, ast.SetComp)
            )
            wrong += [
                f"{path.relative_to(ROOT)}: {target.id}"
                for target in targets
                if isinstance(target, ast.Name) and mutable and not target.id.isupper()
            ]
        wrong += [
            f"{path.relative_to(ROOT)}: global in line {node.lineno}"
            for node in ast.walk(ast.parse(path.read_bytes()))
            if isinstance(node, ast.Global)
        ]
    assert not wrong


def test_no_file_is_too_long() -> None:
    long = {path.relative_to(ROOT).as_posix(): len(path.read_bytes().splitlines()) for path in MODULES}
    assert not {path: lines for path, lines in long.items() if lines > 400}


def test_the_map_is_sorted_and_true() -> None:
    config = configparser.ConfigParser()
    config.read(ROOT / "setup.cfg")
    for section, key in (("options.entry_points", "console_scripts"), ("options", "scripts")):
        lines = config[section][key].strip().splitlines()
        assert lines == sorted(lines, key=lambda line: line.split("=")[0].strip())
    for name, module in commands().items():
        path = module_path(module)
        assert path.exists(), f"{name}: no {path}"
        assert f'@command(b"{name}"' in path.read_text(), f"{name}: {path} has another name"


@pytest.mark.parametrize("name", sorted(commands()))
def test_every_command_has_a_manual_page_in_its_docstring(name: str) -> None:
    text = ast.get_docstring(ast.parse(module_path(commands()[name]).read_bytes())) or ""
    title, _, body = text.partition("\n")
    assert title.startswith(f"{name} - "), title
    assert "\nUsage: " in body
    assert "Exit status:" in body


@pytest.mark.parametrize("name", sorted(commands()))
def test_commands_import_little(name: str) -> None:
    """A command that users or .qmail files start imports nothing slow before it knows that it needs it."""
    slow = "typing dataclasses logging argparse subprocess ssl dns asyncio email importlib.metadata cdblib psutil rich"
    slow += " json ctypes"
    daemons = (
        "qmail-setup qmail-queued qmail-send qmail-lspawn qmail-rspawn qmail-start tcpserver svscan supervise pyqmail"
    )
    if name in daemons.split():
        slow = "asyncio email logging importlib.metadata"
    code = f"import sys; import {commands()[name]}; print(*[m for m in {slow.split()} if m in sys.modules])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd=ROOT)
    assert done.stdout.split() == []


def test_style_is_clean() -> None:
    for words in (["check", "."], ["format", "--check", "."]):
        done = subprocess.run(
            [sys.executable, "-m", "ruff", *words], cwd=ROOT, capture_output=True, text=True, check=False
        )
        assert done.returncode == 0, done.stdout


def test_types_are_clean() -> None:
    done = subprocess.run([sys.executable, "-m", "mypy"], cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout
