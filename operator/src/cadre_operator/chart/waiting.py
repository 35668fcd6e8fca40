"""What of a chart can be in force while agents wait for consent: a workflow that needs one waits with it.

One dangling reference would have the controller refuse the whole chart.
"""

from collections.abc import Collection, Iterator, Mapping

from cadre_api.v1alpha1 import Resource, Workflow
from cadre_api.v1alpha1.common import ObjectRef
from cadre_operator.keys import Key


def without_waiting(models: Mapping[Key, Resource], waiting: Collection[Key]) -> dict[Key, Resource]:
    """The chart without what waits, and without workflows that name it, be it by way of other workflows."""
    out = set(waiting)
    left = {key: model for key, model in models.items() if key not in out}
    while more := {key for key, model in left.items() if out.intersection(_needs(key, model))}:
        out |= more
        left = {key: model for key, model in left.items() if key not in more}
    return left


def _needs(key: Key, model: Resource) -> Iterator[Key]:
    if not isinstance(model, Workflow):
        return
    for step in model.spec.steps:
        for template in (step.task, step.message):
            if template is not None and template.agent_ref is not None:
                yield _named("Agent", template.agent_ref, key)
        if step.workflow is not None:
            yield _named("Workflow", step.workflow.workflow_ref, key)


def _named(kind: str, ref: ObjectRef, near: Key) -> Key:
    return Key(kind, ref.namespace or near.namespace, ref.name)
