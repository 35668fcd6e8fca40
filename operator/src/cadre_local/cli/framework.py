"""Click, adapted: common options on every command, commands loaded only when called, errors in one line."""

import importlib
from collections.abc import Mapping, MutableMapping
from typing import Any

import click
from click.shell_completion import CompletionItem
from typing_extensions import override

from cadre_local.cli.context import FORMATS, Session

_DOCUMENTED_CODES = (
    "Exit codes: 0 done, 1 refused or invalid, 2 usage, 3 unreachable, 4 conflict, 5 the task failed, "
    "6 timed out, 130 interrupted."
)


def _store(context: click.Context, parameter: click.Parameter, value: str | None) -> None:
    if value is not None and parameter.name:
        setattr(context.ensure_object(Session), parameter.name, value)


def common_options() -> list[click.Parameter]:
    """`--as`, `--server`, `-o`: accepted before and after the name of a command."""
    return [
        click.Option(
            ["--as", "persona"],
            metavar="PERSON",
            expose_value=False,
            callback=_store,
            help="Act as this person of the chart (desktop; env CADRE_AS). Default: the tenant's admin.",
        ),
        click.Option(
            ["--server"],
            metavar="URL",
            expose_value=False,
            callback=_store,
            help="Public URL of the controller (env CADRE_SERVER). Default: the one `cadre up` started.",
        ),
        click.Option(
            ["-o", "--output"],
            type=click.Choice(FORMATS),
            expose_value=False,
            callback=_store,
            help="Output format.",
        ),
    ]


class Command(click.Command):
    """A command with the common options."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.params.extend(common_options())


class Group(click.Group):
    """A group whose commands have the common options."""

    command_class = Command

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.params.extend(common_options())


class LazyGroup(Group):
    """The top: imports a command's module only when it is called, so that `cadre` starts at once."""

    def __init__(self, *args: Any, lazy: Mapping[str, tuple[str, str]], **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._lazy = lazy
        """Command -> (`module:attribute`, one-line help)."""

    @override
    def list_commands(self, ctx: click.Context) -> list[str]:
        return list(self._lazy)

    @override
    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        if cmd_name not in self._lazy:
            return None
        module, _, attribute = self._lazy[cmd_name][0].partition(":")
        command = getattr(importlib.import_module(module), attribute)
        assert isinstance(command, click.Command)
        return command

    @override
    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        with formatter.section("Commands"):
            formatter.write_dl([(name, text) for name, (_, text) in self._lazy.items()])
        formatter.write_paragraph()
        formatter.write_text(_DOCUMENTED_CODES)

    @override
    def shell_complete(self, ctx: click.Context, incomplete: str) -> list[CompletionItem]:
        names = [
            CompletionItem(name, help=text)
            for name, (_, text) in self._lazy.items()
            if name.startswith(incomplete)
        ]
        return names or super().shell_complete(ctx, incomplete)


def parse_pairs(
    context: click.Context, parameter: click.Parameter, value: tuple[str, ...]
) -> MutableMapping[str, str]:
    """`k=v` options as a mapping; raises a usage error naming the one that is not."""
    pairs: dict[str, str] = {}
    for item in value:
        key, equals, text = item.partition("=")
        if not equals or not key:
            raise click.BadParameter(f"{item!r} is not NAME=VALUE", context, parameter)
        pairs[key] = text
    return pairs
