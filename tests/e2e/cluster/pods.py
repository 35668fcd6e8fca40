"""Small pods for tests."""

from typing import Any

TOOLS = "cadre-e2e/tools:1"
"""A shell with wget and nc, in every node image that is built here."""

Json = dict[str, Any]

RESTRICTED: Json = {
    "allowPrivilegeEscalation": False,
    "readOnlyRootFilesystem": True,
    "runAsNonRoot": True,
    "capabilities": {"drop": ["ALL"]},
    "seccompProfile": {"type": "RuntimeDefault"},
}


def pod(name: str, namespace: str, image: str, command: list[str], **spec: object) -> Json:
    """A pod of one container that Pod Security `restricted` admits and that runs once."""
    container = {
        "name": "main",
        "image": image,
        "imagePullPolicy": "IfNotPresent",
        "command": command,
        "securityContext": {**RESTRICTED, "runAsUser": 10001},
        "volumeMounts": [{"name": "tmp", "mountPath": "/tmp"}],
    }
    return {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"name": name, "namespace": namespace, "labels": {"app": name}},
        "spec": {
            "restartPolicy": "Never",
            "automountServiceAccountToken": False,
            "terminationGracePeriodSeconds": 1,
            "securityContext": {"fsGroup": 10001},
            "containers": [container],
            "volumes": [{"name": "tmp", "emptyDir": {}}],
            **spec,
        },
    }


def web_server(name: str, namespace: str, image: str = TOOLS) -> Json:
    """A pod that answers HTTP on port 8080 with its name."""
    script = "mkdir /tmp/www && hostname > /tmp/www/index.html && exec httpd -f -p 8080 -h /tmp/www"
    return pod(name, namespace, image, ["sh", "-c", script])


def idle(name: str, namespace: str, image: str = TOOLS) -> Json:
    """A pod to run commands in."""
    return pod(name, namespace, image, ["sh", "-c", "trap exit TERM; while :; do sleep 1; done"])
