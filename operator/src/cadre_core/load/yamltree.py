"""Read YAML into plain values and remember where each value stood.

PyYAML's own constructors lose the lines, let a later duplicate key win, and expand aliases without end;
here each of these is a problem with a line.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field

import yaml

from cadre_core.model import Problem
from cadre_core.resources import Position

MAX_BYTES = 4 * 1024 * 1024
"""Largest file."""
MAX_VALUES = 500_000
"""Most values in one file once aliases are expanded."""
MAX_DEPTH = 64

_TEXT_TAGS = frozenset({"tag:yaml.org,2002:timestamp", "tag:yaml.org,2002:value"})
_MERGE = "tag:yaml.org,2002:merge"
_BOMB_FIX = "write the repeated parts out, or split the file"


@dataclass(frozen=True, slots=True)
class Document:
    """One YAML document: its value and the place of every field in it."""

    value: object
    places: dict[str, Position]
    problems: tuple[Problem, ...]
    booleans: Mapping[str, str] = field(default_factory=dict)
    """Field -> the bare word (On, no, true) that YAML made a boolean of."""


@dataclass(slots=True)
class _Reader:
    file: str
    loader: yaml.SafeLoader | yaml.CSafeLoader
    budget: int = MAX_VALUES
    places: dict[str, Position] = field(default_factory=dict)
    problems: list[Problem] = field(default_factory=list)
    booleans: dict[str, str] = field(default_factory=dict)

    def refuse(self, node: yaml.Node, path: str, reason: str, message: str, fix: str = "") -> None:
        line = node.start_mark.line + 1
        self.problems.append(Problem("", path, reason, message, fix, self.file, line))

    def value(self, node: yaml.Node, path: str, depth: int = 0) -> object:
        self.budget -= 1
        if self.budget < 0 or depth > MAX_DEPTH:
            raise _TooLargeError(node.start_mark.line + 1)
        self.places.setdefault(path, Position(self.file, node.start_mark.line + 1))
        if isinstance(node, yaml.MappingNode):
            return self.mapping(node, path, depth)
        if isinstance(node, yaml.SequenceNode):
            return [self.value(child, f"{path}[{i}]", depth + 1) for i, child in enumerate(node.value)]
        return self.scalar(node, path)

    def mapping(self, node: yaml.MappingNode, path: str, depth: int) -> dict[str, object]:
        found: dict[str, object] = {}
        merged: dict[str, object] = {}
        for key_node, child in node.value:
            if key_node.tag == _MERGE:
                merged |= self.merge(child, path, depth)
                continue
            key = key_node.value if isinstance(key_node, yaml.ScalarNode) else ""
            if key_node.tag != "tag:yaml.org,2002:str":
                self.refuse(
                    key_node, path, "KeyNotText", f"{key!r} is not read as text here", f'write "{key}"'
                )
            if key in found:
                self.refuse(
                    key_node, join(path, key), "DuplicateKey", f"{key} is set twice", "keep one of them"
                )
            self.places[join(path, key)] = Position(self.file, key_node.start_mark.line + 1)
            found[key] = self.value(child, join(path, key), depth + 1)
        return merged | found

    def merge(self, node: yaml.Node, path: str, depth: int) -> dict[str, object]:
        parts = node.value if isinstance(node, yaml.SequenceNode) else [node]
        values = [self.value(part, path, depth + 1) for part in reversed(parts)]
        found: dict[str, object] = {}
        for value in values:
            found |= value if isinstance(value, dict) else {}
        return found

    def scalar(self, node: yaml.Node, path: str) -> object:
        if node.tag in _TEXT_TAGS:
            return node.value
        if node.tag == "tag:yaml.org,2002:bool":
            self.booleans[path] = node.value
        try:
            return self.loader.construct_object(node)
        except (yaml.YAMLError, ValueError, OverflowError) as error:
            message = getattr(error, "problem", None) or str(error)
            self.refuse(node, path, "BadValue", message, "write a plain text, number or boolean")
            return None


class _TooLargeError(Exception):
    def __init__(self, line: int) -> None:
        self.line = line


def join(path: str, key: object) -> str:
    """Extend a field path by a key or an index."""
    if isinstance(key, int):
        return f"{path}[{key}]"
    return f"{path}.{key}" if path else str(key)


def read_documents(file: str, text: str) -> Iterator[Document]:
    """Yield each document of a file; what cannot be read is a document with problems only."""
    if len(text.encode(errors="replace")) > MAX_BYTES:
        yield _broken(
            file, 0, "FileTooLarge", f"larger than {MAX_BYTES // 1024 // 1024} MiB", "split the file"
        )
        return
    try:
        yield from _documents(file, text)
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        yield _broken(
            file, mark.line + 1 if mark else 0, "BadYaml", _words(error), "correct the YAML at this line"
        )
    except (yaml.YAMLError, UnicodeError) as error:
        yield _broken(file, 1, "BadYaml", str(error).split("\n")[0], "save the file as UTF-8 text")
    except (_TooLargeError, RecursionError) as error:
        message = "nested too deep, or expands to too many values"
        yield _broken(file, getattr(error, "line", 0), "YamlBomb", message, _BOMB_FIX)


def _refuse_depth(text: str) -> None:
    """Look at the events first: libyaml's composer recurses in C and a deep file would end the process."""
    depth = 0
    try:
        for event in yaml.parse(text, Loader=yaml.CSafeLoader):
            depth += isinstance(event, yaml.CollectionStartEvent) - isinstance(event, yaml.CollectionEndEvent)
            if depth > MAX_DEPTH:
                raise _TooLargeError(_line(event.start_mark))
    except yaml.YAMLError:
        return  # composing meets the same error at the same place, after the documents before it


def _documents(file: str, text: str) -> Iterator[Document]:
    _refuse_depth(text)
    loader = yaml.CSafeLoader(text)
    budget = MAX_VALUES
    try:
        while loader.check_node():
            node = loader.get_node()
            if node is None or (isinstance(node, yaml.ScalarNode) and not node.value):
                continue
            reader = _Reader(file, loader, budget)
            value = reader.value(node, "")
            budget = reader.budget
            yield Document(value, reader.places, tuple(reader.problems), reader.booleans)
    finally:
        loader.dispose()


def _line(mark: "yaml.Mark | yaml._yaml.Mark | None") -> int:
    return mark.line + 1 if mark else 0


def _words(error: yaml.MarkedYAMLError) -> str:
    return ", ".join(str(part) for part in (error.context, error.problem) if part)


def _broken(file: str, line: int, reason: str, message: str, fix: str) -> Document:
    return Document(None, {}, (Problem("", "", reason, message, fix, file, line),))
