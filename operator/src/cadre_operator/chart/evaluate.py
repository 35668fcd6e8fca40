"""What of a tenant's objects is in force.

An object that became invalid keeps its last good version in force, a deleted one that others still need
stays in force until they let go, and when even that gives no chart the last whole chart stays. After a
restart there is no last good version: then agents and workflows that are wrong are left out, as nothing
depends on their rights, and anything else that is wrong keeps the whole chart from being replaced.
"""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass

from cadre_api.v1alpha1 import Resource
from cadre_core.compile import compile_chart
from cadre_core.model import CompileResult, Problem, Snapshot
from cadre_core.resources import Resources
from cadre_operator.keys import Key
from cadre_operator.watch.entries import Entry

_PLACED = frozenset({"OrgNode", "Agent"})
_LEAVES = frozenset({"Agent", "Workflow"})

Models = Mapping[Key, Resource]
Compiler = Callable[[Resources], CompileResult]


@dataclass(frozen=True, slots=True)
class ChartState:
    """A tenant's chart: what is in force, and what is wrong with what is written."""

    tenant: str
    snapshot: Snapshot | None
    models: Models
    """What the snapshot was made from."""
    problems: Mapping[Key, tuple[Problem, ...]]
    fingerprints: Mapping[Key, tuple[object, ...]]
    """What was looked at."""
    in_force: frozenset[Key] = frozenset()
    """Objects whose written version is in force."""

    @property
    def revision(self) -> str:
        """Digest of the chart in force; empty when there is none."""
        return self.snapshot.revision if self.snapshot else ""


def key_of(model: Resource) -> Key:
    """Return the key of an object."""
    return Key(model.kind, model.metadata.namespace, model.metadata.name)


def evaluate(
    tenant: str,
    entries: Iterable[Entry],
    effective: Models,
    before: ChartState | None,
    compiler: Compiler = compile_chart,
) -> ChartState:
    """Compile a tenant. `effective` holds, per key, the model that counts: held changes do not."""
    seen = {entry.key: entry for entry in entries}
    written = {key: model for key, model in effective.items() if key in seen}
    result = _compile(compiler, written)
    problems = _by_key(result.problems, written) | _unreadable(seen.values())
    models, snapshot = _in_force(compiler, written, result, problems, before)
    return ChartState(
        tenant=tenant,
        snapshot=snapshot,
        models=models,
        problems=problems,
        fingerprints={key: entry.fingerprint for key, entry in seen.items()},
        in_force=frozenset(k for k, m in models.items() if written.get(k) == m) if snapshot else frozenset(),
    )


def _in_force(
    compiler: Compiler,
    written: Models,
    result: CompileResult,
    problems: Mapping[Key, tuple[Problem, ...]],
    before: ChartState | None,
) -> tuple[Models, Snapshot | None]:
    good = before.models if before is not None and before.snapshot is not None else {}
    unreadable = problems.keys() - written.keys()
    if result.snapshot is not None and all(key.kind in _LEAVES and key not in good for key in unreadable):
        return written, result.snapshot
    for candidate in _candidates(written, problems, good):
        repaired = _compile(compiler, candidate)
        if repaired.snapshot is not None:
            return candidate, repaired.snapshot
    if before is not None and before.snapshot is not None and written:
        return before.models, before.snapshot
    return {}, None


def _candidates(
    written: Models, problems: Mapping[Key, tuple[Problem, ...]], good: Models
) -> Iterable[Models]:
    """Yield charts to try, from the least to the most of the past."""
    stuck = [key for key in problems if key.kind not in _LEAVES and key not in good]
    if stuck:
        return
    repaired = {key: model for key, model in written.items() if key not in problems}
    repaired |= {key: good[key] for key in problems if key in good}
    yield repaired
    gone = {key: model for key, model in good.items() if key not in written and key.kind not in _LEAVES}
    yield gone | repaired
    without = {key: model for key, model in (gone | repaired).items() if key not in problems}
    without |= {key: good[key] for key in problems if key in good and key.kind not in _LEAVES}
    yield without


def _compile(compiler: Compiler, models: Models) -> CompileResult:
    if not models:
        return CompileResult(None, ())
    return compiler(Resources.of_models(models.values()))


def _by_key(problems: Iterable[Problem], models: Models) -> dict[Key, tuple[Problem, ...]]:
    """Sort problems by object; what is wrong with the whole is wrong with all that has a place in it."""
    found: dict[Key, list[Problem]] = {}
    whole = [problem for problem in problems if "/" not in problem.resource]
    if whole:
        found = {key: list(whole) for key in models if key.kind in _PLACED}
    for problem in problems:
        kind, _, path = problem.resource.partition(" ")
        namespace, _, name = path.partition("/")
        if name:
            found.setdefault(Key(kind, namespace, name), []).append(problem)
    return {key: tuple(some) for key, some in found.items()}


def _unreadable(entries: Iterable[Entry]) -> dict[Key, tuple[Problem, ...]]:
    return {
        entry.key: tuple(
            Problem(f"{entry.key.kind} {entry.key.path}", p.path, p.reason, p.message, p.fix)
            for p in entry.problems
        )
        for entry in entries
        if entry.model is None
    }


def affected(before: ChartState | None, after: ChartState) -> list[Key]:
    """Return the objects whose part of the chart, or problems, are other than before."""
    if before is None:
        return sorted(after.fingerprints)
    return sorted(key for key in after.fingerprints if _differs(before, after, key))


def _differs(before: ChartState, after: ChartState, key: Key) -> bool:
    return (
        before.fingerprints.get(key) != after.fingerprints[key]
        or before.problems.get(key) != after.problems.get(key)
        or (key in before.in_force) != (key in after.in_force)
        or _part(before, key) != _part(after, key)
    )


def _part(state: ChartState, key: Key) -> object:
    """Return what the chart in force says of an object besides the object itself."""
    if state.snapshot is None:
        return None
    if key.kind == "Agent":
        return state.snapshot.agents.get(key.path)
    if key.kind == "OrgNode":
        node = state.snapshot.nodes.get(key.path)
        return node.path if node else None
    return True
