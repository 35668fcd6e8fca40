"""Validation errors as problems of a file: with the line, and with what YAML made of a bare word."""

from difflib import get_close_matches

from pydantic import ValidationError

from cadre_api.problems import FieldProblem, field_problems
from cadre_api.v1alpha1 import Resource
from cadre_core.load.yamltree import Document
from cadre_core.model import Problem
from cadre_core.resources import Resources


def validation_problems(
    error: ValidationError, kind: type[Resource], document: Document, name: str
) -> list[Problem]:
    """Return every problem of one resource, in the words of its YAML."""
    return [_problem(found, document, name) for found in field_problems(error, kind)]


def _problem(found: FieldProblem, document: Document, name: str) -> Problem:
    path = "" if found.path == "." else found.path
    word = document.booleans.get(path)
    if word is None:
        return at(document, name, path, found.reason, found.message, found.fix)
    message = f"YAML reads the bare word {word} as a boolean"
    return at(document, name, path, "YamlBoolean", message, f'write it in quotes: "{word}"')


def at(document: Document, name: str, path: str, reason: str, message: str, fix: str) -> Problem:
    """Make a problem of a field, with its place in the file."""
    place = Resources({}, {("", ""): document.places}).where("", "", path)
    return Problem(name, path, reason, message, fix, place.file, place.line)


def did_you_mean(word: str, choices: list[str] | tuple[str, ...]) -> str:
    """Name the closest choice, else all of them when they are few."""
    lower = {choice.lower(): choice for choice in choices}
    close = get_close_matches(word.lower(), lower, n=1, cutoff=0.6)
    if close:
        return f"did you mean {lower[close[0]]}?"
    return f"use one of {', '.join(sorted(choices))}" if 0 < len(choices) <= 24 else ""
