"""Progress that is true: a line per step, drawn from the supervisor's own record."""

from types import TracebackType

from rich.console import Console
from rich.status import Status

from cadre_local.state import Phase, RunState


class Progress:
    """A spinner with the current step; finished steps stay as lines."""

    def __init__(self, console: Console, *, quiet: bool = False) -> None:
        self._console = console
        self._quiet = quiet
        self._shown: set[str] = set()
        self._status: Status | None = None

    def __enter__(self) -> "Progress":
        if not self._quiet and self._console.is_terminal:
            self._status = self._console.status("starting …")
            self._status.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._status:
            self._status.stop()

    def starting(self, state: RunState) -> None:
        """Steps of a start."""
        for step in state.steps:
            if step.done and step.name not in self._shown:
                self._shown.add(step.name)
                self._line(f"[green]✓[/] {step.name:<15} {step.detail:<12} [dim]{step.seconds:6.1f} s[/]")
            elif not step.done:
                self._spin(f"{step.name} {step.detail}".strip())

    def stopping(self, state: RunState) -> None:
        """Children that are not stopped yet."""
        left = [child.name for child in state.children if child.phase is not Phase.STOPPED]
        if left:
            self._spin(f"stopping {', '.join(left)}")

    def note(self, name: str, detail: str, *, done: bool) -> None:
        """A step that the command line itself follows."""
        if done:
            self._line(f"[green]✓[/] {name:<15} {detail}")
        else:
            self._spin(f"{name}: {detail}")

    def _spin(self, text: str) -> None:
        if self._status:
            self._status.update(f"{text} …")

    def _line(self, text: str) -> None:
        if not self._quiet:
            self._console.print(text)
