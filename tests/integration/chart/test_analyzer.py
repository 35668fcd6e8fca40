"""The analyzer of each machine: off by default; when on, told of everywhere and reached by guards alone."""

import pytest

from tests.integration.chart.rendering import Helm, Object, containers, pod_spec

pytestmark = pytest.mark.kube
NAME = "cadre-analyzer"


def _names(helm: Helm, mode: str) -> set[tuple[str, str]]:
    return {(o["kind"], o["metadata"]["name"]) for o in helm.render(mode) if NAME in o["metadata"]["name"]}


def _environment(helm: Helm, mode: str, kind: str, name: str) -> dict[str, str]:
    env = containers(helm.find(mode, kind, name))[0]["env"]
    return {each["name"]: each.get("value", "") for each in env}


def _secrets_of_the_operator(helm: Helm, mode: str) -> list[str]:
    rules: list[Object] = helm.find(mode, "Role", "cadre-operator")["rules"]
    return next(list(rule["resourceNames"]) for rule in rules if rule["resources"] == ["secrets"])


def test_it_is_off_unless_asked_for(helm: Helm) -> None:
    assert _names(helm, "default") == set()
    assert "CADRE_ANALYZER_SERVICE" not in _environment(helm, "default", "Deployment", "cadre-operator")
    assert "CADRE_ANALYZER" not in _environment(helm, "default", "Deployment", "cadre-controller")
    assert "cadre-analyzer-tls" not in _secrets_of_the_operator(helm, "default")


def test_everybody_who_must_know_is_told(helm: Helm) -> None:
    kinds = {"ServiceAccount", "Service", "DaemonSet", "NetworkPolicy"}
    assert _names(helm, "everything") == {(kind, NAME) for kind in kinds} | {("Secret", f"{NAME}-tls")}
    assert _environment(helm, "everything", "Deployment", "cadre-operator")["CADRE_ANALYZER_SERVICE"] == NAME
    assert _environment(helm, "everything", "Deployment", "cadre-controller")["CADRE_ANALYZER"] == "Node"
    assert f"{NAME}-tls" in _secrets_of_the_operator(helm, "everything")
    certificate = helm.find("cert-manager", "Certificate", f"{NAME}-tls")
    assert f"{NAME}.cadre-system.svc" in certificate["spec"]["dnsNames"]


def test_texts_stay_on_their_machine_and_go_nowhere_from_there(helm: Helm) -> None:
    service = helm.find("everything", "Service", NAME)["spec"]
    policy = helm.find("everything", "NetworkPolicy", NAME)["spec"]
    pod = pod_spec(helm.find("everything", "DaemonSet", NAME))

    assert service["internalTrafficPolicy"] == "Local"
    [texts, _metrics] = policy["ingress"]
    assert [peer["podSelector"]["matchLabels"] for peer in texts["from"]] == [
        {"app.kubernetes.io/name": "cadre-agent"}
    ]
    [egress] = policy["egress"]
    assert (egress["ports"], egress["to"]) == (
        [{"protocol": "TCP", "port": 7441}],
        [{"podSelector": {"matchLabels": {"app.kubernetes.io/name": "cadre-controller"}}}],
    )
    assert pod["automountServiceAccountToken"] is False
    assert not any("hostPath" in volume for volume in pod["volumes"])
    controller = helm.find("everything", "NetworkPolicy", "cadre-controller")["spec"]["ingress"]
    guard_port = next(rule for rule in controller if rule["ports"][0]["port"] == 7441)
    assert {"podSelector": {"matchLabels": {"app.kubernetes.io/name": NAME}}} in guard_port["from"]
