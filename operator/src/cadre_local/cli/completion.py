"""`cadre completion SHELL`: the script that teaches a shell our commands, and names that a shell asks for."""

import contextlib

import click
from click.shell_completion import CompletionItem, get_completion_class

from cadre_local.cli.framework import Command
from cadre_local.errors import CadreError
from cadre_local.objects import dig

VARIABLE = "_CADRE_COMPLETE"


@click.command(cls=Command)
@click.argument("shell", type=click.Choice(["bash", "zsh", "fish"]))
@click.pass_context
def completion(context: click.Context, shell: str) -> None:
    """Print the completion script of a shell.

    \b
    bash: echo 'source <(cadre completion bash)' >> ~/.bashrc
    zsh:  echo 'source <(cadre completion zsh)' >> ~/.zshrc
    fish: cadre completion fish > ~/.config/fish/completions/cadre.fish
    """
    kind = get_completion_class(shell)
    assert kind is not None
    click.echo(kind(context.find_root().command, {}, "cadre", VARIABLE).source())


def agent_names(context: click.Context, parameter: click.Parameter, incomplete: str) -> list[CompletionItem]:
    """Agents whose name begins so; nothing when nobody answers."""
    from cadre_local.cli.context import Session

    with contextlib.suppress(CadreError):
        session = context.ensure_object(Session)
        if cluster := session.cluster:
            found = cluster.kube.resources("Agent", cluster.connection.namespace)
            names = [dig(item, "metadata", "name") for item in found]
        else:
            names = [str(row.get("key", "")).rpartition("/")[2] for row in session.api().agents()]
        return [CompletionItem(name) for name in sorted(names) if name.startswith(incomplete)]
    return []
