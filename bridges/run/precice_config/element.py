"""One element of a precice-config.xml, with its line.

preCICE writes ``<data:vector …>`` without declaring the prefix ``data``, which XML with
namespaces does not allow and XML without them does; so expat is used as it is.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import NoReturn
from xml.parsers import expat
from xml.sax.saxutils import quoteattr

from scalespan.adapters.interface import CaseError


@dataclass(frozen=True)
class Element:
    """A tag with its attributes and children; ``kind`` is what follows the colon in ``mapping:rbf``."""

    tag: str
    attributes: Mapping[str, str]
    file: str
    line: int
    children: list[Element] = field(default_factory=list)

    @property
    def kind(self) -> str:
        """What follows the colon of the tag, or nothing."""
        return self.tag.partition(":")[2]

    def all(self, family: str) -> list[Element]:
        """Return the children whose tag, up to the colon, is ``family``."""
        return [child for child in self.children if child.tag.partition(":")[0] == family]

    def one(self, tag: str) -> Element | None:
        """Return the child of that tag, or None.

        Raises:
            CaseError: there are several.
        """
        found = self.all(tag)
        if len(found) > 1:
            raise found[1].wrong("it is there twice", todo="leave one out")
        return found[0] if found else None

    def walk(self) -> Iterator[Element]:
        """Go through this element and all below it, in the order of the file."""
        yield self
        for child in self.children:
            yield from child.walk()

    def text(self, name: str, *, default: str | None = None) -> str:
        """Return an attribute."""
        value = self.attributes.get(name, default)
        if value is None:
            raise self.wrong(f"the attribute '{name}' is missing")
        return value

    def number(self, name: str, *, default: float | None = None) -> float:
        """Return an attribute that is a number."""
        value = self.text(name, default=None if default is None else repr(default))
        try:
            return float(value)
        except ValueError as error:
            raise self.wrong(f"{name}='{value}' is not a number") from error

    def whole(self, name: str, *, default: int | None = None) -> int:
        """Return an attribute that is a whole number."""
        value = self.text(name, default=None if default is None else str(default))
        try:
            return int(value)
        except ValueError as error:
            raise self.wrong(f"{name}='{value}' is not a whole number") from error

    def flag(self, name: str, *, default: bool) -> bool:
        """Return an attribute that is yes or no."""
        value = self.text(name, default=str(default)).lower()
        if value not in ("1", "yes", "true", "on", "0", "no", "false", "off"):
            raise self.wrong(f"{name}='{value}' is neither true nor false")
        return value in ("1", "yes", "true", "on")

    @property
    def where(self) -> str:
        """The place to name in an error."""
        return f"{self.file} line {self.line} <{self.tag}>"

    def wrong(self, what: str, *, todo: str = "") -> CaseError:
        """Return the error that names this element's place."""
        return CaseError(what, where=self.where, todo=todo)

    def lacks(self, tag: str) -> NoReturn:
        """Raise the error for a child that must be there."""
        raise self.wrong(f"the element <{tag} …/> is missing inside")


def parse(text: bytes, file: str) -> Element:
    """Return the root element.

    Raises:
        CaseError: the text is not XML.
    """
    top = Element("", {}, file, 0)
    stack = [top]
    parser = expat.ParserCreate()

    def begin(tag: str, attributes: dict[str, str]) -> None:
        element = Element(tag, attributes, file, parser.CurrentLineNumber)
        stack[-1].children.append(element)
        stack.append(element)

    def end(tag: str) -> None:
        stack.pop()

    parser.StartElementHandler, parser.EndElementHandler = begin, end
    try:
        parser.Parse(text, True)
    except expat.ExpatError as error:
        raise CaseError(
            f"this is not XML: {expat.ErrorString(error.code)}",
            where=f"{file} line {error.lineno}",
            todo="close every element and quote every attribute",
        ) from error
    return top.children[0]


def unparsed(root: Element, attributes: Callable[[Element], Mapping[str, str]]) -> bytes:
    """Return the text of a file, with the attributes that a function gives to each of its elements."""

    def lines(element: Element, indent: str) -> list[str]:
        keys = "".join(f" {key}={quoteattr(value)}" for key, value in attributes(element).items())
        if not element.children:
            return [f"{indent}<{element.tag}{keys} />"]
        inside = [line for child in element.children for line in lines(child, f"{indent}  ")]
        return [f"{indent}<{element.tag}{keys}>", *inside, f"{indent}</{element.tag}>"]

    return "\n".join(['<?xml version="1.0" encoding="UTF-8" ?>', *lines(root, ""), ""]).encode()
