"""`spec.freeze`, from kubectl to the guard port: real API server, operator and controller."""

import json
import subprocess
import urllib.error
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.integration.controller.conftest import database as database
from tests.integration.controller.conftest import postgres as postgres
from tests.integration.controller.stand import DESKTOP_SECRET
from tests.integration.controller.test_process import COMMAND, environment
from tests.integration.operator.site import Site
from tests.support.kube import wait_until

pytestmark = [pytest.mark.kube, pytest.mark.postgres]


class Controller:
    """A controller process, asked as people and guards do."""

    def __init__(self, root: Path, env: dict[str, str]) -> None:
        self.root = root
        self.public, self.guard = env["CADRE_PUBLIC_LISTEN"], env["CADRE_GUARD_LISTEN"]

    def call(
        self, port: str, path: str, token: str = "", body: object = None
    ) -> tuple[int, dict[str, object]]:
        """One request: status and body."""
        data = None if body is None else json.dumps(body).encode()
        headers = {"Content-Type": "application/json", "Authorization": f"Bearer {token}"}
        request = urllib.request.Request(f"http://{port}{path}", data, headers)
        try:
            with urllib.request.urlopen(request, timeout=30) as reply:
                return reply.status, json.loads(reply.read() or b"{}")
        except urllib.error.HTTPError as error:
            with error:
                return error.code, json.loads(error.read())
        except OSError:
            return 0, {}

    def admin(self) -> str:
        """A token of the tenant's administrator."""
        body = {"grant": "desktop", "secret": DESKTOP_SECRET}
        return str(self.call(self.public, "/api/v1/auth/token", body=body)[1].get("accessToken", ""))

    def agent(self, key: str) -> str:
        """A token of an agent's guard."""
        (self.root / "run" / "bootstrap" / key.replace("/", ".")).write_text("secret")
        body = {"bootstrap": "secret", "agent": key, "instance": "i-1"}
        return str(self.call(self.guard, "/guard/v1/token", body=body)[1]["token"])

    def reason(self, token: str) -> str:
        """Why a guard is refused; empty when it is served."""
        return str(self.call(self.guard, "/guard/v1/models", token)[1].get("reason", ""))


@pytest.fixture
def controller(tmp_path: Path, database: str) -> Iterator[Controller]:
    """A running controller without a chart."""
    env = environment(tmp_path, database)
    with (tmp_path / "controller.log").open("wb") as log:
        process = subprocess.Popen(COMMAND, env=env, stdout=log, stderr=log)
    running = Controller(tmp_path, env)
    try:
        wait_until(
            "the controller to be ready", lambda: running.call(running.public, "/health")[0] == 200, 60
        )
        yield running
    finally:
        process.terminate()
        process.wait(30)


def test_a_freeze_reaches_the_guard_and_comes_back_as_a_phase(site: Site, controller: Controller) -> None:
    token = site.folder / "token"
    token.write_text(controller.admin())
    site.create_acme()
    site.operator(CADRE_CONTROLLER_URL=f"http://{controller.public}", CADRE_CONTROLLER_TOKEN_FILE=str(token))
    for name in ("marketing-1", "finance-1"):
        site.wait_condition("Agent", name, "ControllerSynced", "True")
    guard, other = (controller.agent(f"{site.namespace}/{name}") for name in ("marketing-1", "finance-1"))
    assert controller.reason(guard) == ""

    head, below = site.user("e-carter"), site.user("j-gross")
    stop, go = {"spec": {"freeze": {"reason": "a leak"}}}, {"spec": {"freeze": None}}
    refused = site.patch("OrgNode", "finance", stop, below)
    assert refused.status == 403 and "heads above freeze this" in refused.message
    assert site.patch("OrgNode", "marketing", stop, head).status == 200
    wait_until("the guard to be refused", lambda: controller.reason(guard) == "Frozen")
    assert controller.reason(other) == ""
    ready = site.wait_condition("Agent", "marketing-1", "Ready", "False", "Frozen")
    assert ready["message"] == "a leak" and site.get("Agent", "marketing-1")["status"]["phase"] == "Frozen"
    listed = controller.call(controller.public, "/api/v1/freezes", token.read_text())[1]["items"]
    assert isinstance(listed, list)
    assert [(f["by"], f["source"]) for f in listed] == [(f"{site.namespace}/e-carter", "Resource")]

    # who is below the one who froze does not thaw, nor move the agent out of it
    kept = site.patch("OrgNode", "marketing", go, below)
    assert kept.status == 403 and "frozen above you" in kept.message
    moved = site.patch("Agent", "marketing-1", {"spec": {"nodeRef": {"name": "campaigns"}}})
    assert moved.status == 403 and "thaw it before it is moved" in moved.message
    assert site.patch("OrgNode", "marketing", go, head).status == 200
    wait_until("the guard to be served", lambda: controller.reason(guard) == "")
    wait_until(
        "the phase to change", lambda: site.get("Agent", "marketing-1")["status"]["phase"] != "Frozen", 60
    )
    for client in (head, below):
        client.close()

    # what is frozen at the controller shows here too, and a broken chart keeps nothing from being stopped
    body = {"scope": "Agent", "target": "finance-1", "reason": "by hand"}
    assert controller.call(controller.public, "/api/v1/freeze", token.read_text(), body)[0] == 200
    assert site.wait_condition("Agent", "finance-1", "Ready", "False", "Frozen")["message"] == "by hand"
    site.without_webhooks()
    broken = {"spec": {"nodeRef": {"name": "nowhere"}, "freeze": {"reason": "stop"}}}
    assert site.patch("Agent", "marketing-1", broken).status == 200
    wait_until("the guard to be refused", lambda: controller.reason(guard) == "Frozen")
