"""What waits for consent, as people read it."""

from collections.abc import Sequence

from rich.console import Console
from rich.text import Text

from cadre_local.kube.consents import Waiting
from cadre_local.render.tables import print_table, short


def print_consents(console: Console, waiting: Sequence[Waiting]) -> None:
    """A table; nothing when nothing waits."""
    if waiting:
        console.print()
        rows = [(w.subject, w.key.partition("/")[0], w.why.partition(":")[0], _people(w)) for w in waiting]
        print_table(console, ("CONSENT TO", "NAMESPACE", "WHY", "WHO MAY"), rows, "")
        console.print(Text("cadre approve KIND/NAME shows one and asks", "dim"))


def show_consent(console: Console, found: Waiting) -> None:
    """Everything a person needs to decide."""
    console.print(Text(f"{found.subject} in {found.key.partition('/')[0]}", "bold"))
    if found.purpose:
        console.print(f"purpose  {found.purpose}", markup=False)
    console.print(f"why      {found.why}", markup=False)
    console.print(f"who      {_people(found)}", markup=False)
    console.print(f"hash     {found.hash}", markup=False)


def _people(found: Waiting) -> str:
    return ", ".join(map(short, found.ask)) or "a tenant admin"
