"""`cadre login`, `cadre whoami`: who one is, at this cluster or on this desktop."""

from datetime import UTC, datetime

import click
from rich.console import Console

from cadre_local.cli.context import Session, pass_session
from cadre_local.cli.framework import Command
from cadre_local.kube.login import SignedIn
from cadre_local.kube.target import ClusterTarget
from cadre_local.render.tables import until


@click.command(cls=Command)
@click.option("--forget", is_flag=True, help="Forget the remembered sign-in instead.")
@pass_session
def login(session: Session, forget: bool) -> None:
    """Sign in at a cluster's controller as whoever your kubeconfig says.

    Every command signs in by itself when it must; this does it anew, for example after your rights changed.
    The token is kept in a file that only you can read, until it ends.
    """
    cluster = session.cluster_only("login", "on a desktop nothing is needed; choose a person with --as")
    if forget:
        forgotten = cluster.cache.forget(cluster.identity)
        word = "forgotten" if forgotten else "nothing was remembered"
        session.emit({"forgotten": forgotten}, lambda console: console.print(word))
        return
    _tell(session, cluster, cluster.sign_in())


@click.command(cls=Command)
@pass_session
def whoami(session: Session) -> None:
    """Who you are here, and by what."""
    if cluster := session.cluster:
        _tell(session, cluster, cluster.signed_in())
        return
    api = session.api()
    person = api.person or "tenant admin"
    data = {"person": api.person, "admin": not api.person, "server": api.http.endpoint.url}
    session.emit(data, lambda console: console.print(f"{person} on this machine, {api.http.endpoint.url}"))


def _tell(session: Session, cluster: ClusterTarget, found: SignedIn) -> None:
    connection = cluster.connection
    data = {
        "person": found.person,
        "admin": not found.person,
        "tenant": found.tenant,
        "context": connection.context,
        "user": connection.user,
        "server": connection.server,
        "expiresAt": found.expires,
    }

    def render(console: Console) -> None:
        who = found.person or "administrator" + (f" of {found.tenant}" if found.tenant else "")
        left = until(datetime.fromisoformat(found.expires), datetime.now(UTC))
        console.print(f"{who}  [dim]signed in for {left} more[/]")
        console.print(
            f"by context {connection.context}, user {connection.user}, {connection.server}", markup=False
        )

    session.emit(data, render)
