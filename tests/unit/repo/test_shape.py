"""The size rules of CONTRIBUTING.md, so that no file or function grows past what one reading can hold."""

import ast
import statistics
import subprocess
from pathlib import Path

ROOT = Path(__file__).parents[3]
SOURCES = ("crds/src", "operator/src", "controller_api/src", "guard_image/src", "examples/src")


def _sources() -> list[Path]:
    names = subprocess.check_output(["git", "ls-files", "*.py"], cwd=ROOT, text=True).split()
    return [ROOT / name for name in names if name.startswith(SOURCES) and (ROOT / name).exists()]


def _share_within(values: list[int], bound: int) -> float:
    return sum(value <= bound for value in values) / len(values)


def test_files_stay_readable() -> None:
    lines = {path: path.read_text().count("\n") for path in _sources()}
    assert {str(p): n for p, n in lines.items() if n > 600} == {}
    assert _share_within(list(lines.values()), 400) >= 0.9
    assert statistics.median(lines.values()) <= 150


def test_functions_stay_readable() -> None:
    sizes: dict[str, int] = {}
    for path in _sources():
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef) and node.end_lineno:
                sizes[f"{path.name}:{node.lineno}:{node.name}"] = node.end_lineno - node.lineno + 1
    assert {name: n for name, n in sizes.items() if n > 80} == {}
    assert _share_within(list(sizes.values()), 35) >= 0.9
    assert statistics.median(sizes.values()) <= 10


def test_every_module_says_why_it_exists() -> None:
    silent = [
        str(p)
        for p in _sources()
        if p.read_text().strip() and not ast.get_docstring(ast.parse(p.read_text()))
    ]
    assert silent == []


def test_operator_folder_never_shadows_the_standard_library() -> None:
    assert not (ROOT / "operator" / "__init__.py").exists()
