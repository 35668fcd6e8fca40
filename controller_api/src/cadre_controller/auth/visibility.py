"""Who may see what of the running business: pure, over the chart in force.

A person sees the tasks they asked for and those of agents they own or answer for (Head, Approver or Auditor
on the path to the agent's node). Administrators see everything of the tenant; clearance still decides what is
restored.
"""

from cadre_api.protocol.tasks import ApprovalView, TaskView
from cadre_controller.ports import Actor
from cadre_core.model import Snapshot

_ANSWERING = frozenset({"Head", "Approver", "Auditor"})


def answers_for(snapshot: Snapshot, actor: Actor, agent: str) -> bool:
    """Whether the person owns the agent or holds a role above it."""
    known = snapshot.agents.get(agent)
    if actor.is_admin:
        return True
    if known is None or not actor.person:
        return False
    return known.owner == actor.person or bool(roles_on(snapshot, actor.person, known.path) & _ANSWERING)


def roles_on(snapshot: Snapshot, person: str, path: tuple[str, ...]) -> frozenset[str]:
    """All roles of a person at the nodes of a path."""
    nodes = (snapshot.nodes[key] for key in path if key in snapshot.nodes)
    return frozenset(role for node in nodes for m in node.members if m.person == person for role in m.roles)


def sees_task(snapshot: Snapshot, actor: Actor, view: TaskView) -> bool:
    """Whether the person may see one task, judged by itself alone."""
    return view.requester == actor.id or answers_for(snapshot, actor, view.agent)


def sees_approval(snapshot: Snapshot, actor: Actor, view: ApprovalView) -> bool:
    """Whether the person may see an approval: asked, having voted, or answering for the agent."""
    if actor.person and (actor.person in view.approvers or any(v.person == actor.person for v in view.votes)):
        return True
    return answers_for(snapshot, actor, view.agent)


def may_audit(snapshot: Snapshot, actor: Actor) -> bool:
    """Whether the person may read the whole chain: Auditor or Head of the root, or administrator."""
    root = snapshot.nodes[snapshot.root].path if snapshot.root in snapshot.nodes else ()
    return actor.is_admin or bool(roles_on(snapshot, actor.person, root) & {"Auditor", "Head"})
