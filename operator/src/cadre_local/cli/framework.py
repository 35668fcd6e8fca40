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
    """Accepted before and after the name of a command."""
    return [
        click.Option(
            ["-o", "--output"],
            type=click.Choice(FORMATS),
            expose_value=False,
            callback=_store,
            help="Output format.",
        ),
        _option("--as", "persona", "PERSON", "Desktop: act as this person (env CADRE_AS)."),
        _option("--server", "server", "URL", "The controller's public URL (env CADRE_SERVER)."),
        _option("--context", "context", "NAME", "Cluster: this context of the kubeconfig."),
        _option("--kubeconfig", "kubeconfig", "FILE", "Cluster: this kubeconfig (env KUBECONFIG)."),
        _option("-n", "namespace", "NAME", "Cluster: this namespace.", "--namespace"),
        _option("--system-namespace", "system_namespace", "NAME", "Where Cadre runs [cadre-system]."),
    ]


def _option(name: str, attribute: str, metavar: str, text: str, *more: str) -> click.Option:
    return click.Option(
        [name, *more, attribute], metavar=metavar, expose_value=False, callback=_store, help=text
    )


class _Sectioned(click.Command):
    """Help with a command's own options first, the common ones apart."""

    @override
    def format_options(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        own, common = list[tuple[str, str]](), list[tuple[str, str]]()
        for parameter in self.get_params(ctx):
            record = parameter.get_help_record(ctx)
            if record is not None:
                (own if parameter.expose_value or parameter.name == "help" else common).append(record)
        for title, records in (("Options", own), ("Common options", common)):
            if records:
                with formatter.section(title):
                    formatter.write_dl(records)
        if isinstance(self, click.Group):
            self.format_commands(ctx, formatter)


class Command(_Sectioned):
    """A command with the common options."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.params.extend(common_options())


class Group(_Sectioned, click.Group):
    """A group whose commands have the common options."""

    command_class = Command

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.params.extend(common_options())


class LazyGroup(Group):
    """The top: imports a command's module only when it is called, so that `cadre` starts at once."""

    def __init__(
        self,
        *args: Any,
        lazy: Mapping[str, tuple[str, str]],
        aliases: Mapping[str, str],
        **kwargs: Any,
    ) -> None:
        super().__init__(*args, **kwargs)
        self._lazy = lazy
        """Command -> (`module:attribute`, one-line help)."""
        self._aliases = aliases

    @override
    def list_commands(self, ctx: click.Context) -> list[str]:
        return list(self._lazy)

    @override
    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        cmd_name = self._aliases.get(cmd_name, cmd_name)
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
