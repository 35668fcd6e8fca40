"""What the status of every kind but Agent says."""

from cadre_operator.admission.stamps import HeldStamp
from cadre_operator.status.common import Sync, SyncState
from cadre_operator.status.resource import ResourceInput, resource_status
from tests.unit.operator.company import entries

HELD = HeldStamp("OrgNode co/team", "sha256:x", "NoPerson: by a machine", ("co/boss",), {})


def conditions(waiting: HeldStamp | None) -> dict[str, dict[str, str]]:
    entry = next(item for item in entries() if item.key.kind == "OrgNode")
    synced = SyncState(Sync.SYNCED, "1")
    given = ResourceInput(entry, (), True, waiting, synced, "1", "2026-01-05T08:00:00Z")
    written = resource_status(given)
    assert written is not None
    return {found["type"]: found for found in written.status["conditions"]}


def test_a_change_that_waits_asks_for_a_person() -> None:
    """Argo CD reads AwaitingApproval first: Suspended, not Degraded."""
    found = conditions(HELD)
    assert (found["Accepted"]["status"], found["Ready"]["status"]) == ("False", "False")
    assert (found["AwaitingApproval"]["status"], found["AwaitingApproval"]["reason"]) == (
        "True",
        "ConsentRequired",
    )
    assert "ask co/boss" in found["AwaitingApproval"]["message"]


def test_what_waits_for_nobody_says_nothing_about_it() -> None:
    found = conditions(None)
    assert found["Ready"]["status"] == "True"
    assert "AwaitingApproval" not in found
