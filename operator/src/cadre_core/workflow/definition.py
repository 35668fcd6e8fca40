"""The shape of a workflow: its normal steps in an order that respects dependsOn, and the steps that run only
when something went wrong."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property

from cadre_api.v1alpha1 import ObjectRef, Step, WorkflowSpec
from cadre_core.canonical import digest


@dataclass(frozen=True)
class Definition:
    """One version of a workflow, kept with each run of it."""

    key: str
    """`namespace/name`."""
    spec: WorkflowSpec

    @cached_property
    def document(self) -> bytes:
        """The specification as JSON, kept with each run."""
        return self.spec.model_dump_json(by_alias=True, exclude_none=True).encode()

    @cached_property
    def version(self) -> str:
        """Digest of the specification."""
        return digest(self.spec.model_dump(mode="json", by_alias=True, exclude_none=True))

    @cached_property
    def by_name(self) -> Mapping[str, Step]:
        """All steps."""
        return {step.name: step for step in self.spec.steps}

    @cached_property
    def helpers(self) -> frozenset[str]:
        """Steps that run only when something went wrong: named by onFailure, or set up by compensates."""
        named = {step.on_failure for step in self.spec.steps if step.on_failure}
        return frozenset(named | {step.name for step in self.spec.steps if step.compensates})

    @cached_property
    def order(self) -> tuple[Step, ...]:
        """The normal steps, each after all that it depends on; the same for any order in the file."""
        return tuple(
            self.by_name[name] for layer in layers(self.spec.steps) for name in layer if self._is(name)
        )

    @cached_property
    def undoing(self) -> Mapping[str, str]:
        """Normal step -> the step that compensates it."""
        return {step.compensates: step.name for step in self.spec.steps if step.compensates}

    @cached_property
    def last(self) -> tuple[str, ...]:
        """Normal steps that no other depends on."""
        needed = {name for step in self.order for name in step.depends_on}
        return tuple(step.name for step in self.order if step.name not in needed)

    def key_of(self, ref: ObjectRef) -> str:
        """Key of what a step refers to; the namespace defaults to the workflow's."""
        return f"{ref.namespace or self.key.partition('/')[0]}/{ref.name}"

    def before(self, name: str) -> frozenset[str]:
        """Everything that a normal step depends on, near or far."""
        found: set[str] = set()
        waiting = list(self.by_name[name].depends_on)
        while waiting:
            step = waiting.pop()
            if step not in found and step in self.by_name:
                found.add(step)
                waiting += self.by_name[step].depends_on
        return frozenset(found)

    def _is(self, name: str) -> bool:
        return name not in self.helpers


def definition_of(key: str, spec: WorkflowSpec) -> Definition:
    """A definition that was checked when the chart was compiled."""
    return Definition(key, spec)


def layers(steps: Sequence[Step]) -> Iterator[tuple[str, ...]]:
    """Names of steps that can run at the same time, sorted; what waits in a circle never comes."""
    waiting = {step.name: set(step.depends_on) for step in steps}
    while ready := sorted(name for name, needs in waiting.items() if not needs & waiting.keys()):
        yield tuple(ready)
        for name in ready:
            del waiting[name]
