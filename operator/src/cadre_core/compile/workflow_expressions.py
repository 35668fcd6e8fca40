"""What a workflow's expressions and texts may read: parameters, and steps that are done by then."""

from collections.abc import Iterator

from cadre_api.v1alpha1 import HttpRequest, Step, Workflow
from cadre_core import cel
from cadre_core.compile import celtext
from cadre_core.compile.draft import Draft
from cadre_core.load.errors import did_you_mean
from cadre_core.workflow.definition import Definition
from cadre_core.workflow.expressions import placeholders

_MACROS = frozenset({"all", "exists", "exists_one", "map", "filter"})


def check_expressions(
    draft: Draft, workflow: Workflow, definition: Definition, step: Step, path: str
) -> None:
    """Note what an expression or a text of a step reads and cannot have."""
    checker = _Checker(draft, workflow, definition, step)
    for field, text, is_each in _expressions(step):
        checker.expression(f"{path}.{field}", text, item=is_each and step.for_each is not None)
    for field, text, given in _texts(step):
        checker.text(f"{path}.{field}", text, given)


def _expressions(step: Step) -> Iterator[tuple[str, str, bool]]:
    """Field, expression, and whether it may read `item`."""
    for name in ("when", "for_each", "data"):
        if text := getattr(step, name):
            yield "forEach" if name == "for_each" else name, text, False
    for kind, template in (("task", step.task), ("message", step.message), ("workflow", step.workflow)):
        for key, text in ((template.with_ or {}) if template is not None else {}).items():
            yield f"{kind}.with.{key}", text, True
    if step.http is not None:
        yield from _asked(step.http)


def _asked(http: HttpRequest) -> Iterator[tuple[str, str, bool]]:
    yield "http.url", http.url, True
    for key, text in (http.query or {}).items():
        yield f"http.query.{key}", text, True
    for i, header in enumerate(http.headers):
        if header.value is not None:
            yield f"http.headers[{i}].value", header.value, True
    if http.body is not None:
        yield "http.body", http.body, True


def _texts(step: Step) -> Iterator[tuple[str, str, frozenset[str]]]:
    if step.task is not None and step.task.prompt is not None:
        yield "task.prompt", step.task.prompt, frozenset(step.task.with_ or {})
    if step.message is not None:
        yield "message.text", step.message.text, frozenset(step.message.with_ or {})


class _Checker:
    def __init__(self, draft: Draft, workflow: Workflow, definition: Definition, step: Step) -> None:
        self._draft, self._workflow = draft, workflow
        self._params = [parameter.name for parameter in workflow.spec.parameters]
        self._names = sorted(definition.by_name)
        normal = {s.name for s in definition.spec.steps} - definition.helpers
        self._readable = normal if step.name in definition.helpers else definition.before(step.name)

    def _refuse(self, path: str, reason: str, message: str, fix: str) -> None:
        self._draft.refuse(self._workflow, path, reason, message, fix)

    def text(self, path: str, text: str, given: frozenset[str]) -> None:
        """Every placeholder is filled in."""
        for name in sorted(placeholders(text) - given - set(self._params)):
            message = f"nothing fills in {{{{ {name} }}}}"
            self._refuse(path, "UnknownPlaceholder", message, f"add {name} to with, or a parameter {name}")

    def expression(self, path: str, text: str, *, item: bool) -> None:
        """It parses, ends soon, and reads what there is."""
        try:
            cel.compile(text)
        except Exception as error:  # the parser raises several types; each means the same
            self._refuse(path, "BadExpression", str(error).split("\n")[0], "write a CEL expression")
            return
        stream = celtext.tokens(text)
        if _nested(stream):
            message = "a macro inside of a macro can take too long"
            self._refuse(path, "TooComplex", message, "split it into two data steps")
        for chain in celtext.paths(stream):
            self._variable(path, chain, item)

    def _variable(self, path: str, chain: celtext.Path, item: bool) -> None:
        match chain.root:
            case "params":
                self._parameter(path, chain)
            case "steps":
                self._step(path, chain)
            case "item" if item:
                return
            case root:
                known = ["params", "steps", *(["item"] if item else [])]
                fix = did_you_mean(root, known) or f"use {', '.join(known)}"
                self._refuse(path, "UnknownVariable", f"there is no variable {root} here", fix)

    def _parameter(self, path: str, chain: celtext.Path) -> None:
        if not chain.fields or chain.fields[0] not in self._params:
            message = f"there is no parameter {chain.fields[0] if chain.fields else ''}".rstrip()
            name = chain.fields[0] if chain.fields else ""
            fix = did_you_mean(name, self._params) or "write params.NAME, and declare it under parameters"
            self._refuse(path, "UnknownParameter", message, fix)

    def _step(self, path: str, chain: celtext.Path) -> None:
        name = chain.fields[0] if chain.fields else ""
        if name not in self._names:
            fix = did_you_mean(name, self._names) or "write steps.NAME.result"
            hyphens = [known for known in self._names if known.startswith(f"{name}-")]
            if name and hyphens:
                fix = f'write steps["{hyphens[0]}"]: a hyphen is a minus'
            self._refuse(path, "UnknownStep", f"there is no step {name}".rstrip(), fix)
        elif name not in self._readable:
            message = f"step {name} need not be done by then"
            self._refuse(path, "NotBefore", message, f"add {name} to dependsOn")


def _nested(stream: tuple[celtext.Token, ...]) -> bool:
    """Whether a macro runs inside of another: the one way in which CEL takes long."""
    opened: list[bool] = []
    for i, token in enumerate(stream):
        if token.text == "(":
            macro = i >= 2 and stream[i - 1].text in _MACROS and stream[i - 2].text == "."
            if macro and any(opened):
                return True
            opened.append(macro)
        elif token.text == ")" and opened:
            opened.pop()
    return False
