"""Tokens back to values, in one pass: a restored value that looks like a token is left alone."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping

from cadre_detect.jsonwalk import DATA, Json, Kind, WalkRules, rewrite
from cadre_detect.tokens import TOKEN_RE, suffixes


def resolve_match(match: str, values: Mapping[str, str]) -> tuple[str, str] | None:
    """(capitals glued to the front, value) of a token-shaped span, or None when no such token is known."""
    for candidate in suffixes(match):
        value = values.get(candidate)
        if value is not None:
            return match[: len(match) - len(candidate)], value
    return None


def restore_text(text: str, values: Mapping[str, str]) -> str:
    """The text with every known token replaced by its value; unknown ones stay as they are."""

    def value_of(match: re.Match[str]) -> str:
        resolved = resolve_match(match.group(), values)
        return "".join(resolved) if resolved else match.group()

    return TOKEN_RE.sub(value_of, text)


def restore_json(document: Json, values: Mapping[str, str], rules: WalkRules = DATA) -> Json:
    """The document with every known token replaced, inside embedded JSON too; structural positions stay."""

    def visit(text: str, kind: Kind) -> str:
        match kind:
            case Kind.STRUCTURE | Kind.NUMBER:
                return text
            case Kind.FRAGMENT:
                return restore_arguments(text, values)
            case Kind.TEXT | Kind.KEY:
                return restore_text(text, values)

    return rewrite(document, rules, visit)


def restore_arguments(arguments: str, values: Mapping[str, str]) -> str:
    """Tool-call arguments (JSON in a string) restored so that they still parse."""

    def value_of(match: re.Match[str]) -> str:
        resolved = resolve_match(match.group(), values)
        return resolved[0] + json.dumps(resolved[1])[1:-1] if resolved else match.group()

    return TOKEN_RE.sub(value_of, arguments)
