"""Sphinx directives whose tables are read from the code.

``options`` lists the keys of an options class, ``commands`` the command line, ``mistakes`` what a test does wrong:
``{options} scalespan.bridges.embedding.RegionOptions``. What a key means is the comment behind it in the source, so
that there is one place to keep right.
"""

from __future__ import annotations

import ast
import importlib
import inspect
import io
import json
import re
import textwrap
import tokenize
import tomllib
from collections.abc import Iterator
from datetime import date
from enum import Enum
from pathlib import Path
from types import NoneType, UnionType
from typing import Annotated, Any, Literal, Union, get_args, get_origin, get_type_hints

from docutils import nodes
from pydantic import AfterValidator
from pydantic.fields import FieldInfo
from pydantic_core import PydanticUndefined
from sphinx.application import Sphinx
from sphinx.util.docutils import SphinxDirective
from typer.main import get_command

from scalespan.adapters.interface import CaseFile, Options, units
from scalespan.bridges.run.cli import app
from scalespan.bridges.run.tasks import Task

ROOT = Path(__file__).resolve().parents[1]
_PLAIN = {
    str: "text",
    int: "whole number",
    float: "number",
    bool: "true or false",
    Path: "path",
    Any: "any",
    date: "date",
}
_SHOWN = {
    "length": "angstrom",
    "energy": "hartree",
    "force": "eV/angstrom",
    "time": "fs",
    "frequency": "1/ps",
    "temperature": "K",
}


def quantities() -> dict[Any, str]:
    """Return the dimension of each quantity type: ``Length`` is ``length``."""
    return {kind: name.lower() for name, kind in vars(units).items() if get_origin(kind) is Annotated}


def describe(hint: Any) -> str:
    """Return a type in the words of a person who writes TOML."""
    words = _PLAIN | quantities() | {CaseFile: "file"}
    if hint in words:
        return words[hint]
    if inspect.isclass(hint) and issubclass(hint, Options):
        return _link(hint)
    if inspect.isclass(hint) and issubclass(hint, Enum):
        return ", ".join(f'`"{each.value}"`' for each in hint)
    origin, parts = get_origin(hint), get_args(hint)
    if origin is Annotated:
        file = parts[0] is str and any(isinstance(each, AfterValidator) for each in parts[1:])
        return "file or name" if file else describe(parts[0])
    return _compound(origin, parts)


def _compound(origin: Any, parts: tuple[Any, ...]) -> str:
    if origin in (Union, UnionType):
        return " or ".join(describe(part) for part in parts if part is not NoneType)
    if origin is Literal:
        return ", ".join(f'`"{part}"`' if isinstance(part, str) else f"`{part}`" for part in parts)
    if origin is dict:
        return "table" if parts[1] is Any else f"table of names, each = {describe(parts[1])}"
    assert origin in (list, tuple), f"{origin} has no words yet"
    one = describe(parts[0])
    if one.startswith("`"):
        return f"list of any of {one}"
    count = "list of" if origin is list or Ellipsis in parts else f"list of {len(parts)}"
    return f"{count} {_plural(one)}"


def _link(kind: type[Options]) -> str:
    kinds = get_args(kind.model_fields["kind"].annotation) if "kind" in kind.model_fields else ()
    text = f'kind = "{kinds[0]}"' if len(kinds) == 1 else "table"
    return f"[{text}](#keys-{kind.__name__.lower()})"


def _plural(text: str) -> str:
    first, of, rest = text.partition(" of ")
    if of:
        return f"{first}s of {rest}"
    if text.startswith("["):
        return text.replace("[table]", "[tables]")
    return "files or names" if text == "file or name" else f"{text}s"


def default(field: FieldInfo, hint: Any) -> str:
    """Return a default as it would be written in TOML."""
    value = field.default
    if value is PydanticUndefined and field.default_factory is None:
        return "**required**"
    if value is None or field.default_factory is not None or isinstance(value, Options | tuple):
        return "–"
    dimension = next((name for kind, name in quantities().items() if hint == kind), None)
    if dimension and not isinstance(value, str):
        return f'`"{units.show(value, _SHOWN[dimension], dimension)}"`'
    if isinstance(value, bool):
        return f"`{str(value).lower()}`"
    if isinstance(value, list):
        return "`" + json.dumps(value) + "`"
    return f'`"{value}"`' if isinstance(value, str | Path) else f"`{value:g}`"


def comments(kind: type[Options]) -> dict[str, str]:
    """Return what the source says behind each field of a class and of those that it derives from."""
    found: dict[str, str] = {}
    for each in reversed(kind.__mro__):
        if issubclass(each, Options) and each is not Options:
            found |= own_comments(each)
    return found


def own_comments(kind: type) -> dict[str, str]:
    """Return what the source says behind each field of a class."""
    source = textwrap.dedent(inspect.getsource(kind))
    said = {
        token.start[0]: token.string.removeprefix("#").strip()
        for token in tokenize.generate_tokens(io.StringIO(source).readline)
        if token.type == tokenize.COMMENT
    }
    (body,) = ast.parse(source).body
    assert isinstance(body, ast.ClassDef)
    fields = [node for node in body.body if isinstance(node, ast.AnnAssign) and isinstance(node.target, ast.Name)]
    return {node.target.id: said.get(node.end_lineno or 0, "") for node in fields}


def load(path: str) -> type[Options]:
    """Return the class that a dotted path names."""
    module, _, name = path.rpartition(".")
    found = getattr(importlib.import_module(module), name)
    assert issubclass(found, Options), f"{path} is no options class"
    return found


def rows(kind: type[Options]) -> Iterator[tuple[str, str, str, str]]:
    """Yield key, kind of value, default and meaning."""
    hints, said = get_type_hints(kind, include_extras=True), comments(kind)
    for key, field in kind.model_fields.items():
        meaning = re.sub(r"(^|[;,] )see `?\w+\.py`?", "", said[key])  # the page says what that module says
        meaning = re.sub(r"(^|; )None:", r"\1left out:", meaning) or _summary(hints[key])
        yield f"`{field.alias or key}`", describe(hints[key]), default(field, hints[key]), meaning


def _summary(hint: Any) -> str:
    """Return the first line of the docstring of the one options class in a type, if there is one."""
    kinds = [each for each in (hint, *get_args(hint)) if inspect.isclass(each) and issubclass(each, Options)]
    return (inspect.getdoc(kinds[0]) or "").split("\n")[0] if len(kinds) == 1 else ""


def table(head: tuple[str, ...], lines: Iterator[tuple[str, ...]] | list[tuple[str, ...]]) -> str:
    """Return a table in Markdown."""
    cells = [head, ("---",) * len(head), *lines]
    return "\n".join("| " + " | ".join(cell.replace("|", "\\|") for cell in line) + " |" for line in cells)


def published(task: type[Task]) -> str:
    """Return the names of the values that a task gives, for reference.toml."""
    names = [name.replace("{n}", "N").replace("{}", "NAME") for name in task.values]
    names += [f"MEASURE_{each}" for each in task.measured]
    series = {name.removesuffix("_first") for name in names if name.endswith("_first")}
    folded = dict.fromkeys(f"{stem}_…" if (stem := name.rpartition("_")[0]) in series else name for name in names)
    text = ", ".join(f"`{name}`" for name in folded)
    return f"{text}; … is `first`, `last`, `mean`, `std`, `min` or `max`" if series else text


def commands() -> Iterator[tuple[str, str, str]]:
    """Yield what to type, its options and what it does, for each command."""
    group = get_command(app)
    for name, command in group.commands.items():
        arguments = [each for each in command.params if each.param_type_name == "argument"]
        chosen = [each for each in command.params if each.param_type_name == "option" and each.name != "help"]
        typed = " ".join(each.metavar if each.required else f"[{each.metavar}]" for each in arguments)
        options = "; ".join(f"`{' '.join(each.opts)}` {each.help}" for each in chosen)
        yield f"`scalespan {name} {typed}`", " ".join(inspect.cleandoc(command.help).split()), options or "–"


def linked(text: str, form: str = "[doi:{0}](https://doi.org/{0})") -> str:
    """Return a text whose DOIs are links."""
    return re.sub(r"doi:(10\.\d{4,}/[^\s,;`]*[^\s,;`.)])", lambda found: form.format(found[1]), text)


def story(readme: Path) -> str:
    """Return a case's README as a section of a page in this folder: its pictures stay, its links to files go."""
    text = readme.read_text(encoding="utf-8")
    text = re.sub(r"^#", "##", text, flags=re.MULTILINE)
    text = re.sub(r"\]\((?!\w+://|#|/)([^)]+\.(?:svg|png))\)", rf"](../cases/{readme.parent.name}/\1)", text)
    text = re.sub(r"(?<!!)\[([^]]+)\]\((?!\w+://)[^)]+\)", r"\1", text)
    return linked(f"({readme.parent.name})=\n{text}")


class _Generated(SphinxDirective):
    """A directive that writes Markdown."""

    def write(self, text: str) -> list[nodes.Node]:
        """Return the nodes of ``text``."""
        return self.parse_text_to_nodes(text, allow_section_headings=True)


class OptionsTable(_Generated):
    """The keys of an options class."""

    required_arguments = 1

    def run(self) -> list[nodes.Node]:
        """Return the table."""
        kind = load(self.arguments[0])
        self.env.note_dependency(inspect.getfile(kind))
        text = table(("key", "value", "default", "meaning"), rows(kind)) if kind.model_fields else "No keys."
        if issubclass(kind, Task):
            text += f"\n\nIt gives the values {published(kind)}."
        label = f"keys-{kind.__name__.lower()}"
        standard = self.env.domains.standard_domain  # so that other pages' tables can point here
        standard.anonlabels[label] = self.env.docname, label
        standard.labels[label] = self.env.docname, label, "table"
        return [nodes.target("", "", ids=[label]), *self.write(text)]


class Fields(_Generated):
    """The fields of a dataclass, with the shapes and units that stand behind them."""

    required_arguments = 1

    def run(self) -> list[nodes.Node]:
        """Return the table."""
        module, _, name = self.arguments[0].rpartition(".")
        kind = getattr(importlib.import_module(module), name)
        self.env.note_dependency(inspect.getfile(kind))
        types = {key: f"`{hint}`" for key, hint in inspect.get_annotations(kind).items()}
        lines = [(f"`{key}`", types[key], said) for key, said in own_comments(kind).items()]
        return self.write(table(("field", "type", "meaning"), lines))


class Docstring(_Generated):
    """The docstring of a module: paragraphs, lists, and formulas as indented lines."""

    required_arguments = 1

    def run(self) -> list[nodes.Node]:
        """Return the paragraphs."""
        module = importlib.import_module(self.arguments[0])
        self.env.note_dependency(inspect.getfile(module))
        return self.write(linked(inspect.getdoc(module) or ""))


class Commands(_Generated):
    """The commands."""

    def run(self) -> list[nodes.Node]:
        """Return the table."""
        return self.write(table(("command", "what it does", "options"), commands()))


class Cases(_Generated):
    """The README of each case."""

    def run(self) -> list[nodes.Node]:
        """Return the sections."""
        readmes = sorted((ROOT / "cases").glob("*/README.md"))
        for readme in readmes:
            self.env.note_dependency(str(readme))
        return self.write("\n\n".join(story(readme) for readme in readmes))


class Mistakes(_Generated):
    """The mistakes that a test makes, with the sentence that each one gets."""

    def run(self) -> list[nodes.Node]:
        """Return the table."""
        path = ROOT / "tests" / "run" / "bad_input.toml"
        self.env.note_dependency(str(path))
        entries = [each for group in tomllib.loads(path.read_text(encoding="utf-8")).values() for each in group]
        lines = [(each["name"], each["sentence"].replace("\n", " "), str(each["status"])) for each in entries]
        texts = [(name, f"``{sentence}``", status) for name, sentence, status in lines]
        return self.write(table(("mistake", "sentence", "status"), texts))


def _link_docstring(sphinx: Sphinx, what: str, name: str, owner: object, options: object, lines: list[str]) -> None:
    lines[:] = [linked(line, "`doi:{0} <https://doi.org/{0}>`__") for line in lines]


def setup(sphinx: Sphinx) -> dict[str, object]:
    """Make the directives known to Sphinx."""
    kinds = {"options": OptionsTable, "fields": Fields, "docstring": Docstring, "commands": Commands, "cases": Cases}
    for name, kind in {**kinds, "mistakes": Mistakes}.items():
        sphinx.add_directive(name, kind)
    sphinx.connect("autodoc-process-docstring", _link_docstring)
    return {"version": "1", "parallel_read_safe": True, "parallel_write_safe": True}
