"""Puts the docstrings of fields into schemas, where schemas are made and nowhere else.

Pydantic can do so when it builds a class, which reads the source of every model at each start of a program.
"""

import ast
import inspect
import sys
from collections.abc import Iterator, Mapping
from functools import cache

from pydantic import BaseModel
from pydantic.json_schema import JsonSchemaValue


def describe(model: type[BaseModel], schema: JsonSchemaValue) -> None:
    """Add to the properties of a model's schema, in place, what the fields' docstrings say."""
    properties = schema.get("properties", {})
    for name, info in model.model_fields.items():
        text = _docstring(model, name)
        alias = info.serialization_alias or info.alias or name
        if text and alias in properties:
            properties[alias].setdefault("description", text)


def _docstring(model: type[BaseModel], field: str) -> str:
    for cls in model.__mro__:
        if field in inspect.get_annotations(cls):
            return _of_module(cls.__module__).get(cls.__qualname__, {}).get(field, "")
    return ""


@cache
def _of_module(name: str) -> Mapping[str, Mapping[str, str]]:
    try:
        tree = ast.parse(inspect.getsource(sys.modules[name]))
    except OSError:
        return {}
    return dict(_classes(tree, ""))


def _classes(parent: ast.AST, prefix: str) -> Iterator[tuple[str, Mapping[str, str]]]:
    for node in ast.iter_child_nodes(parent):
        if isinstance(node, ast.ClassDef):
            yield f"{prefix}{node.name}", dict(_fields(node))
            yield from _classes(node, f"{prefix}{node.name}.")


def _fields(owner: ast.ClassDef) -> Iterator[tuple[str, str]]:
    for field, after in zip(owner.body, owner.body[1:], strict=False):
        if isinstance(field, ast.AnnAssign) and isinstance(field.target, ast.Name):
            match after:
                case ast.Expr(value=ast.Constant(value=str(text))):
                    yield field.target.id, inspect.cleandoc(text)
                case _:
                    continue
