"""XML as a small tree that knows its lines; documents that define entities are refused."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from xml.parsers import expat

from onlooker.core.errors import ConfigError
from onlooker.learning.datasets.formats.format import wrong

__all__ = ["Element", "read_xml"]

_DEEPEST = 50


@dataclass(slots=True)
class Element:
    """One element: attributes by ``element[name]``, parts in order, text, and the line where it begins."""

    name: str
    attributes: dict[str, str]
    line: int
    parts: list[Element] = field(default_factory=list["Element"])
    text: str = ""

    def __getitem__(self, name: str) -> str:
        return self.attributes[name]

    def get(self, name: str) -> str | None:
        """An attribute, or None."""
        return self.attributes.get(name)

    def find_all(self, path: str) -> Iterator[Element]:
        """Parts by a path of names; ``**`` stands for any depth, none too."""
        name, _, rest = path.partition("/")
        if name == "**":
            yield from self.find_all(rest)
            for part in self.parts:
                yield from part.find_all(path)
            return
        for part in self.parts:
            if part.name == name:
                if rest:
                    yield from part.find_all(rest)
                else:
                    yield part


def read_xml(path: Path) -> Element:
    """The top element of a file.

    Raises:
        ConfigError: it cannot be read, is no XML, defines entities, or is very deep; names the line.
    """
    parser = expat.ParserCreate()
    open_elements: list[Element] = []
    top: list[Element] = []

    def begin(name: str, attributes: dict[str, str]) -> None:
        made = Element(name, attributes, parser.CurrentLineNumber)
        if len(open_elements) >= _DEEPEST:
            raise wrong(path, "too deep", parser.CurrentLineNumber)
        (open_elements[-1].parts if open_elements else top).append(made)
        open_elements.append(made)

    def end(name: str) -> None:
        open_elements.pop()

    def words(text: str) -> None:
        if open_elements:
            open_elements[-1].text += text

    def doctype(*found: Any) -> None:
        raise wrong(path, "a document type is not allowed", parser.CurrentLineNumber, hint="export it again")

    parser.StartElementHandler, parser.EndElementHandler = begin, end
    parser.CharacterDataHandler, parser.StartDoctypeDeclHandler = words, doctype
    parser.buffer_text = True
    try:
        parser.Parse(path.read_bytes(), True)
    except OSError as error:
        raise ConfigError(f"cannot read {path}: {error}", hint="check the path") from None
    except expat.ExpatError as error:
        raise wrong(path, f"not XML: {expat.ErrorString(error.code)}", error.lineno) from None
    return top[0]
