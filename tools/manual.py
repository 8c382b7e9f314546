"""Manual pages for man(1), made of the docstrings of the commands' modules, and of some about files.

setup.py writes them when the package is built, and they are installed in share/man beside the folder of commands,
where man looks for them when that folder is in PATH. The form of a docstring:

    name - purpose

    Usage: name argument ...
           name --other argument
        more of it

    Paragraphs, with `literal words` in them. Indented lines between them are an example, or a list, when two
    blanks or more stand behind the first words of a line.

    Options:
        -t word  what it does, which may go on
                 in the next line

    See also: other, names

`Options:` and the like begin a section if indented lines follow; so does any other line of a few words.
"""

from __future__ import annotations

import ast
import configparser
import os
import re
import textwrap
import time
from itertools import groupby

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    Chunk = list[str]  # lines with no empty one between them

TOP = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))  # what setup.cfg is in
SECTIONS = ("Options", "Environment", "Exit status", "Files", "Signals")  # what every page calls so
FOR_ALL = ("argv0",)  # the original comes with ucspi-tcp, in section 1, which man would show before ours
LONGEST = 6  # words of the title of another section
FORMATS = {  # pages of section 5: what people write into files
    "dot-qmail": "mta.local.dotqmail",
    "qmail-routes": "mta.remote.routes",
    "qmail-users": "mta.local.users",
    "tcp-rules": "ucspi.rules.rules",
}
WIDTH = 78  # bytes of a line of a paragraph
GAP = re.compile(r"(?<=[^\s.:]) {2,}")  # between a term and what is said of it, and not between sentences
WHOLE = re.compile(r"(?<!\S)(?=\S*(?:\\-|[/@_]))")  # before words that are not to be broken
OPTIONAL = re.compile(r"\[[^][]{,30}\]")  # what is not to be broken in a synopsis
TITLE = re.compile(r"[A-Z].*:$")
ESCAPES = str.maketrans({"\\": r"\e", "-": r"\-", "^": r"\(ha", "~": r"\(ti", "`": r"\(ga", '"': r"\(dq"})


# -- where pages come from and go ------------------------------------------------------------
def docstring(module: str) -> str:
    """The docstring of *module*; its source is read and not run."""
    with open(os.path.join(TOP, *module.split(".")) + ".py", "rb") as file:
        return ast.get_docstring(ast.parse(file.read())) or ""


def commands() -> dict[str, str]:
    """Command -> module, as setup.cfg has them."""
    config = configparser.ConfigParser()
    config.read(os.path.join(TOP, "setup.cfg"))
    lines = config["options.entry_points"]["console_scripts"].split("\n")
    found = dict(re.findall(r"^(\S+) = (\S+):main$", "\n".join(lines), re.MULTILINE))
    for script in config["options"]["scripts"].split():
        with open(os.path.join(TOP, script)) as file:
            found[os.path.basename(script)] = re.findall(r"^from (\S+) import main$", file.read(), re.MULTILINE)[0]
    return found


def version() -> str:
    """That of setup.cfg."""
    config = configparser.ConfigParser()
    config.read(os.path.join(TOP, "setup.cfg"))
    return config["metadata"]["version"]


def section_of(name: str, module: str) -> int:
    """1, commands for everybody, or 8, those of the system, where the originals' pages have always been."""
    return 8 if name not in FOR_ALL and (name.startswith("qmail-") or module.startswith("supervise.")) else 1


def write(folder: str) -> list[tuple[str, list[str]]]:
    """Write the pages of all commands and formats into *folder*.

    Returns:
        Folders below the place of installation, and the files that belong there, as setuptools wants them.
    """
    modules = commands()
    sections = {name: section_of(name, module) for name, module in modules.items()} | dict.fromkeys(FORMATS, 5)
    date = time.strftime("%Y-%m-%d", time.gmtime(int(os.environ.get("SOURCE_DATE_EPOCH", time.time()))))
    files: dict[str, list[str]] = {}
    for name, module in sorted((modules | FORMATS).items()):
        place = f"man{sections[name]}"
        os.makedirs(os.path.join(folder, place), exist_ok=True)
        path = os.path.join(folder, place, f"{name}.{sections[name]}")
        with open(path, "w") as file:
            file.write(page(name, docstring(module), sections, date, version()))
        files.setdefault(f"share/man/{place}", []).append(path)
    return sorted(files.items())


# -- a page ----------------------------------------------------------------------------------
def page(name: str, text: str, sections: Mapping[str, int], date: str, version: str) -> str:
    """The page of a command or a format, in the man(7) language.

    Args:
        name: its name.
        text: the docstring of its module.
        sections: of the manual, by name of the command.
        date, version: what stands at the bottom.
    """
    purpose = text.partition("\n")[0].removeprefix(f"{name} - ").rstrip(".")
    chunks = [chunk.split("\n") for chunk in re.split(r"\n\n+", text)[1:]]
    lines = [
        f'.TH "{escaped(name.upper())}" {sections[name]} "{date}" "pyqmail {version}"',
        ".ad l",
        ".SH NAME",
        f"{escaped(name)} \\- {prose(purpose)}",
    ]
    if chunks[0][0].startswith("Usage: "):
        lines += [".SH SYNOPSIS", *synopsis(name, chunks.pop(0))]
    lines.append(".SH DESCRIPTION")
    title = ""  # of the section that the chunk belongs to
    for chunk in chunks:
        if chunk[0].startswith("See also: "):
            lines += [".SH SEE ALSO", also(" ".join(chunk).removeprefix("See also: "), sections)]
            continue
        if is_title(chunk):
            title = chunk.pop(0)[:-1]
            lines.append(heading(title))
        elif not chunk[0].startswith(" "):
            title = ""
        lines += body(chunk, title)
    return "\n".join(line for line, before in zip(lines, ["", *lines], strict=False) if not idle(line, before)) + "\n"


def idle(line: str, before: str) -> bool:
    """Whether *line* begins a paragraph where one begins anyhow."""
    return line in (".PP", ".br") and before.startswith((".SH", ".SS"))


def synopsis(name: str, usage: Chunk) -> Iterator[str]:
    """The *usage*, each way to call the command on its own."""
    calls = re.split(rf"(?:^Usage: |\n {{7}}){re.escape(name)}(?= |\n|$)", "\n".join(usage))[1:]
    for call in calls:
        yield f".SY {escaped(name)}"
        together = OPTIONAL.sub(lambda option: option[0].replace(" ", r"\~"), escaped(" ".join(call.split())))
        yield from wrapped(together)
    yield ".YS"


def is_title(chunk: Chunk) -> bool:
    """Whether the first line of *chunk* is the title of the indented lines behind it."""
    return (
        bool(TITLE.match(chunk[0]))
        and len(chunk[0].split()) <= LONGEST
        and all(line.startswith(" ") for line in chunk[1:])
        and len(chunk) > 1
    )


def heading(title: str) -> str:
    """The line that begins a section."""
    return f'.SH "{escaped(title.upper())}"' if title.split(",")[0] in SECTIONS else f'.SS "{escaped(title)}"'


def body(chunk: Chunk, title: str) -> Iterator[str]:
    """Paragraphs, lists and examples; indented lines below a *title* are no example."""
    for indented, group in groupby(chunk, key=lambda line: line.startswith(" ")):
        lines = textwrap.dedent("\n".join(group)).split("\n")
        entries = list(entries_of(lines)) if indented else []
        if any(term for term, _ in entries):
            for term, text in entries:
                yield from [".TP", f".B {whole(term)}"] if term else [".PP"]
                yield from filled(text)
        elif title == "Files":
            for _, text in entries:
                yield from [".br", *filled(text)]
        elif title or not indented:
            yield from [".PP", *filled(lines)]
        else:
            yield from (".PP", ".RS 4", ".EX", *map(literal, lines), ".EE", ".RE")


def entries_of(block: Chunk) -> Iterator[tuple[str, list[str]]]:
    """The entries of a list: a term, which is empty where a line has none, and the lines that tell about it."""
    columns = [len(line) - len(line.lstrip()) for line in block if line.startswith(" ")]
    columns += [gap.end() for line in block for gap in GAP.finditer(line.rstrip())]
    column = max(columns, key=lambda at: (columns.count(at), -at), default=0)  # where most texts begin
    entry: tuple[str, list[str]] | None = None
    for number, line in enumerate(block):
        if line.startswith(" ") and entry:
            entry[1].append(line.strip())
            continue
        if entry:
            yield entry
        gaps = [gap.end() for gap in GAP.finditer(line)]
        if gaps:
            at = column if column in gaps else gaps[0]
            entry = (" ".join(line[:at].split()), [line[at:]])
        elif block[number + 1 : number + 2] and block[number + 1].startswith(" "):
            entry = (line, [])
        else:
            entry = ("", [line])
    if entry:
        yield entry


def also(names: str, sections: Mapping[str, int]) -> str:
    """Names of other pages, with the sections of those that are ours."""
    return re.sub(r"[^\s,;]+", lambda word: reference(word[0], sections), names).replace(", ", ",\n")


def reference(word: str, sections: Mapping[str, int]) -> str:
    """A *word* of `See also:`."""
    return f"\\fB{whole(word)}\\fP({sections[word]})" if word in sections else whole(word)


# -- letters ---------------------------------------------------------------------------------
def escaped(text: str) -> str:
    """*text* as it is, for a line that does not begin with it."""
    return text.translate(ESCAPES)


def whole(text: str) -> str:
    """*text* as it is, in which names and options are not broken in two."""
    return WHOLE.sub(r"\\%", escaped(text))


def safe(line: str) -> str:
    """A *line* that has been escaped, whatever it begins with."""
    return "\\&" + line if line.startswith((".", "'")) else line


def filled(lines: list[str]) -> list[str]:
    """The *lines* of a paragraph."""
    return wrapped(prose(" ".join(lines)))


def wrapped(text: str) -> list[str]:
    """*text*, which is escaped, in lines."""
    lines = textwrap.wrap(text, WIDTH, break_long_words=False, break_on_hyphens=False)
    return [safe(line) for line in lines]


def prose(text: str) -> str:
    """Words in backquotes are bold."""
    return re.sub(r"\\\(ga(.+?)\\\(ga", r"\\fB\1\\fP", whole(text))


def literal(line: str) -> str:
    """A line of an example."""
    return safe(escaped(line).replace("'", r"\(aq"))
