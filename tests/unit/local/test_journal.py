"""The state file follows every change, also when nothing but the phase changed."""

from pathlib import Path

from cadre_local.state import Phase, Ports, load
from cadre_local.supervise.journal import Journal
from cadre_local.supervise.options import UpOptions


def test_a_change_of_phase_alone_is_written(tmp_path: Path) -> None:
    options = UpOptions(home=tmp_path, ports=Ports(public=1, guard=2))
    options.state_home.state.parent.mkdir(parents=True, exist_ok=True)
    journal = Journal(options, tuple)
    for change, expected in (
        (lambda: journal.write(), Phase.STARTING),
        (lambda: journal.phase(Phase.READY), Phase.READY),
        (lambda: journal.phase(Phase.STOPPING), Phase.STOPPING),
    ):
        change()
        state = load(options.state_home)
        assert state is not None
        assert state.phase is expected
    journal.tenant("acme")
    journal.warn("one agent is late")
    state = load(options.state_home)
    assert state is not None
    assert (state.tenant, state.warning) == ("acme", "one agent is late")
