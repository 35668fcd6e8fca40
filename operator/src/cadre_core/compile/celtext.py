"""Which fields a CEL condition reads: enough of its grammar to follow `args.a.b` past strings and macros."""

import re
from collections.abc import Iterator
from dataclasses import dataclass

_TOKEN = re.compile(
    r"""(?P<space>\s+|//[^\n]*)
    |(?P<string>[rRbB]{0,2}(?:\"\"\"(?:\\.|[^\\])*?\"\"\"|'''(?:\\.|[^\\])*?'''|"(?:\\.|[^"\\])*"|'(?:\\.|[^'\\])*'))
    |(?P<number>(?:0x[0-9a-fA-F]+|\d+\.?\d*(?:[eE][+-]?\d+)?|\.\d+(?:[eE][+-]?\d+)?)u?)
    |(?P<name>[A-Za-z_][A-Za-z0-9_]*)
    |(?P<op>==|!=|<=|>=|&&|\|\||[-+*/%!<>?:.,()\[\]{}])""",
    re.VERBOSE | re.DOTALL,
)
_MACROS = frozenset({"all", "exists", "exists_one", "map", "filter"})
_WORDS = frozenset({"true", "false", "null", "in"})
TYPES = frozenset(
    {
        "int",
        "uint",
        "double",
        "bool",
        "string",
        "bytes",
        "list",
        "map",
        "null_type",
        "type",
        "timestamp",
        "duration",
    }
)
"""Names of types and conversions, which are no variables."""


@dataclass(frozen=True, slots=True)
class Token:
    """A lexical element: string, number, name or op."""

    kind: str
    text: str


@dataclass(frozen=True, slots=True)
class Path:
    """A chain of field accesses from a variable; `[]` stands for an index by number."""

    root: str
    fields: tuple[str, ...]
    start: int
    end: int
    """Token positions, end exclusive."""
    dynamic: bool = False
    """An index that is computed: what it reads is not known before."""

    def spelling(self) -> str:
        """Return the chain as it is written."""
        return ".".join((self.root, *self.fields)).replace(".[]", "[]")


def tokens(expression: str) -> tuple[Token, ...]:
    """Split a condition that already parsed as CEL; what is unknown is skipped."""
    found = (m for m in _TOKEN.finditer(expression) if m.lastgroup not in {None, "space"})
    return tuple(Token(m.lastgroup or "", m.group()) for m in found)


def paths(stream: tuple[Token, ...]) -> Iterator[Path]:
    """Yield every chain that starts at a variable, leaving out what macros bind."""
    bound = _bound(stream)
    for i, token in enumerate(stream):
        after_dot = i > 0 and stream[i - 1].text == "."
        called = i + 1 < len(stream) and stream[i + 1].text == "("
        if token.kind != "name" or after_dot or called or token.text in _WORDS | bound | TYPES:
            continue
        if not _map_key(stream, i):
            yield _chain(stream, i)


def _map_key(stream: tuple[Token, ...], i: int) -> bool:
    return i > 0 and stream[i - 1].text == "{" and stream[i + 1 : i + 2] == (Token("op", ":"),)


def _bound(stream: tuple[Token, ...]) -> frozenset[str]:
    return frozenset(
        stream[i + 2].text
        for i, token in enumerate(stream[:-2])
        if token.text in _MACROS and i > 0 and stream[i - 1].text == "." and stream[i + 1].text == "("
    )


def _chain(stream: tuple[Token, ...], start: int) -> Path:
    fields: list[str] = []
    i = start + 1
    while i < len(stream):
        if stream[i].text == "." and i + 1 < len(stream) and not _is_call(stream, i + 1):
            fields.append(stream[i + 1].text)
            i += 2
        elif stream[i].text == "[" and stream[i + 2 : i + 3] == (Token("op", "]"),):
            index = stream[i + 1]
            if index.kind == "name":
                return Path(stream[start].text, tuple(fields), start, i, dynamic=True)
            fields.append("[]" if index.kind == "number" else literal_text(index.text))
            i += 3
        elif stream[i].text == "[":
            return Path(stream[start].text, tuple(fields), start, i, dynamic=True)
        else:
            break
    return Path(stream[start].text, tuple(fields), start, i)


def _is_call(stream: tuple[Token, ...], i: int) -> bool:
    return i + 1 < len(stream) and stream[i + 1].text == "("


def literal_text(text: str) -> str:
    """Return the content of a plain string literal."""
    body = text.lstrip("rRbB")
    quotes = 3 if body[:3] in {'"""', "'''"} else 1
    return body[quotes:-quotes]


def compared_literals(stream: tuple[Token, ...], path: Path) -> Iterator[Token]:
    """Yield literals that the chain is compared with by == or !=, which CEL never calls mistyped."""
    if path.end + 1 < len(stream) and stream[path.end].text in {"==", "!="}:
        yield from _literal(stream, path.end + 1)
    if path.start >= 2 and stream[path.start - 1].text in {"==", "!="}:
        yield from _literal(stream, path.start - 2)


def _literal(stream: tuple[Token, ...], i: int) -> Iterator[Token]:
    token = stream[i]
    if token.text == "-" and i + 1 < len(stream):
        token = stream[i + 1]
    if token.kind in {"string", "number"} or token.text in {"true", "false"}:
        yield token
