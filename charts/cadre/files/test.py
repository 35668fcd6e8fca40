# ruff: noqa: S310, T201
"""What `helm test` runs: both programs serve, over certificates that the release's own authority signed."""

import json
import os
import ssl
import sys
import urllib.request

CONTEXT = ssl.create_default_context(cafile="/etc/cadre/ca/ca.crt")
NAMESPACE = os.environ["CADRE_NAMESPACE"]


def read(url: str) -> str:
    """Read a page or say which one does not answer."""
    try:
        with urllib.request.urlopen(url, timeout=10, context=CONTEXT if "https" in url else None) as reply:
            return str(reply.read().decode())
    except OSError as error:
        sys.exit(f"{url}: {error}")


health = json.loads(read(f"https://cadre-controller.{NAMESPACE}.svc/ready"))
assert health["status"] == "ok", health
print("the controller is ready, database included")
assert "cadre_http_requests" in read(f"https://cadre-controller.{NAMESPACE}.svc/metrics")
assert read(f"http://cadre-operator.{NAMESPACE}.svc:8080/ready").strip() == "ok"
print("the operator is ready: it watches the whole cluster and its webhook has a certificate")
assert "cadre_leader" in read(f"http://cadre-operator.{NAMESPACE}.svc:8080/metrics")
