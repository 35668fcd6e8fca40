"""Wrong values are refused before anything is installed, by a message that names the value and the fix."""

import subprocess
from pathlib import Path

import pytest
import yaml

from tests.integration.chart.rendering import CHART, MODES, Helm, Object
from tests.support.kube import KubeServer


def refusal(helm: Helm, values: Object) -> str:
    done = helm.template(values)
    assert done.returncode != 0, f"{values} went through"
    return done.stderr


@pytest.mark.parametrize(
    ("values", "words"),
    [
        ({"tls": {"mode": "selfmanaged"}}, ["/tls/mode", "'SelfManaged', 'CertManager'"]),
        ({"operator": {"replica": 2}}, ["/operator", "'replica' not allowed"]),
        ({"controller": {"replicas": "two"}}, ["/controller/replicas", "want integer"]),
        ({"operator": {"rollingPercent": 0}}, ["/operator/rollingPercent", "minimum"]),
        ({"images": {"guard": {"digest": "sha256:abc"}}}, ["/images/guard/digest", "sha256:"]),
        ({"backup": {"schedule": "daily"}}, ["/backup/schedule"]),
        ({"agentNamespaces": ["Acme_EU"]}, ["/agentNamespaces/0"]),
        ({"controller": {"credentials": ["../keys"]}}, ["/controller/credentials/0"]),
        ({"controller": {"localHosts": ["ollama"]}}, ["/controller/localHosts/0"]),
        ({"controller": {"privateHosts": ["erp"]}}, ["/controller/privateHosts/0"]),
        ({"controller": {"mail": {"tls": "No"}}}, ["/controller/mail/tls"]),
        ({"analyzer": {"workers": 0}}, ["/analyzer/workers", "minimum"]),
        ({"identities": {"gitopsUsers": ["a,b"]}}, ["/identities/gitopsUsers/0"]),
        ({"protection": {"breakGlassGroup": "it's"}}, ["/protection/breakGlassGroup"]),
        ({"webhook": {"timeoutSeconds": 31}}, ["/webhook/timeoutSeconds", "maximum"]),
        ({"webhook": {"exemptNamespaces": ["kube_system"]}}, ["/webhook/exemptNamespaces/0"]),
        ({"monitorng": {}}, ["'monitorng' not allowed"]),
    ],
)
def test_a_wrong_value_is_named(helm: Helm, values: Object, words: list[str]) -> None:
    message = refusal(helm, values)
    assert all(word in message for word in words), message


@pytest.mark.parametrize(
    ("values", "fix"),
    [
        ({"scope": "Namespaces"}, "list some in namespaces or agentNamespaces"),
        ({"namespaces": ["acme"]}, "set that, or leave namespaces empty"),
        ({"agentNamespaces": ["cadre-system"]}, "a namespace of their own"),
        (
            {"agentNamespaces": ["acme"], "webhook": {"exemptNamespaces": ["kube-system", "acme"]}},
            "names acme, which holds agents",
        ),
        ({"postgres": {"bundled": False}}, "name a Secret with the database's URL"),
        ({"tls": {"issuerRef": {"name": "x"}}}, "only used with tls.mode=CertManager"),
        ({"tls": {"mode": "CertManager", "issuerRef": {"kind": "Issuer"}}}, "name an issuer"),
    ],
)
def test_values_that_do_not_fit_together_say_the_fix(helm: Helm, values: Object, fix: str) -> None:
    assert fix in refusal(helm, values)


def test_images_come_from_where_the_values_say(helm: Helm) -> None:
    operator = helm.find("everything", "Deployment", "cadre-operator")["spec"]["template"]["spec"]
    assert operator["containers"][0]["image"] == "registry.example.com/x/cadre/operator:1.2.3"
    assert operator["imagePullSecrets"] == [{"name": "pull"}]
    digest = "sha256:" + "a" * 64
    done = helm.template({"images": {"guard": {"digest": digest}}})
    assert f"cadre/guard@{digest}" in done.stdout


def test_mails_have_their_password_by_reference(helm: Helm) -> None:
    mail = {
        "server": "mail.example:587", "from": "cadre@example.com", "user": "cadre",
        "passwordSecret": {"name": "mail"},
    }  # fmt: skip
    done = helm.template({"controller": {"mail": mail, "privateHosts": ["erp.lan:8443"]}})
    assert '{secretKeyRef: {name: "mail", key: "password"}}' in done.stdout
    for name, value in (("SMTP_SERVER", "mail.example:587"), ("PRIVATE_HOSTS", "erp.lan:8443")):
        assert f'{{name: CADRE_{name}, value: "{value}"}}' in done.stdout
    assert "CADRE_SMTP" not in helm.template({}).stdout


def test_credentials_are_where_the_controller_looks(helm: Helm) -> None:
    spec = helm.find("everything", "Deployment", "cadre-controller")["spec"]["template"]["spec"]
    (controller,) = spec["containers"]
    folder = next(e["value"] for e in controller["env"] if e["name"] == "CADRE_SECRET_DIR")
    mounted = {m["name"]: m["mountPath"] for m in controller["volumeMounts"]}
    volumes = {v["secret"]["secretName"]: v for v in spec["volumes"] if "secret" in v}
    for name in ("models", "erp.acme"):
        assert volumes[name]["secret"]["optional"] is True
        assert mounted[volumes[name]["name"]] == f"{folder}/{name}"


def test_what_admission_does_not_see_is_said_once_and_known_everywhere(helm: Helm) -> None:
    def rendered(values: Object) -> tuple[list[Object], dict[str, str], str]:
        done = helm.template({"webhook": values})
        assert done.returncode == 0, done.stderr
        objects = [obj for obj in yaml.safe_load_all(done.stdout) if obj]
        hooks = [hook for obj in objects for hook in obj.get("webhooks", [])]
        found = {(obj["kind"], obj["metadata"]["name"]): obj for obj in objects}
        pod = found["Deployment", "cadre-operator"]["spec"]["template"]["spec"]
        env = {item["name"]: str(item.get("value")) for item in pod["containers"][0]["env"]}
        policy = found["ValidatingAdmissionPolicy", "cadre-unjudged"]["spec"]["validations"][0]
        return hooks, env, policy["expression"]

    hooks, env, expression = rendered({"exemptNamespaces": ["kube-system", "x"], "timeoutSeconds": 5})
    assert len(hooks) == 3
    for hook in hooks:
        (names,) = hook["namespaceSelector"]["matchExpressions"]
        assert (names["operator"], names["values"]) == ("NotIn", ["kube-system", "x"])
        assert hook["timeoutSeconds"] == 5
    assert (env["CADRE_WEBHOOK_TIMEOUT"], env["CADRE_WEBHOOK_EXEMPT_NAMESPACES"]) == ("5", "kube-system,x")
    assert expression == '!(request.namespace in ["kube-system","x"])'
    hooks, env, expression = rendered({})
    assert all(hook["namespaceSelector"] == {"matchExpressions": []} for hook in hooks)
    assert "CADRE_WEBHOOK_EXEMPT_NAMESPACES" not in env
    assert expression == "!(request.namespace in [])"


@pytest.mark.kube
def test_a_namespace_that_may_hold_agents_is_not_exempt(
    helm: Helm, kube_server: KubeServer, tmp_path: Path
) -> None:
    client = kube_server.client()
    labels = {"cadre.dev/agents": "true"}
    client.post("/api/v1/namespaces", {"metadata": {"name": "with-agents", "labels": labels}})
    client.post("/api/v1/namespaces", {"metadata": {"name": "without"}})
    client.close()
    config = kube_server.write_kubeconfig(tmp_path / "kubeconfig")

    def install(exempt: str) -> "subprocess.CompletedProcess[str]":
        values = f"--set=webhook.exemptNamespaces={{kube-system,{exempt}}},createNamespace=true"
        at = (str(CHART), "--namespace=fresh", f"--kubeconfig={config}", "--dry-run=server", values)
        return helm.run("install", "cadre", *at, "--skip-crds")

    assert "with-agents, which is labelled cadre.dev/agents" in install("with-agents").stderr
    done = install("without")
    assert done.returncode == 0, done.stderr


@pytest.mark.kube
def test_an_authority_that_an_earlier_operator_made_is_left_to_it(
    helm: Helm, kube_server: KubeServer, tmp_path: Path
) -> None:
    client = kube_server.client()
    client.post("/api/v1/namespaces", {"metadata": {"name": "earlier"}})
    authority = {"metadata": {"name": "cadre-ca"}, "data": {"ca.crt": "held"}}
    client.post("/api/v1/namespaces/earlier/configmaps", authority)
    config = kube_server.write_kubeconfig(tmp_path / "kubeconfig")
    at = (str(CHART), "--namespace=earlier", f"--kubeconfig={config}", "--dry-run=server")
    done = helm.run("install", "cadre", *at, "--skip-crds")
    assert done.returncode == 0, done.stderr
    assert "kind: ConfigMap\nmetadata:\n  name: cadre-ca\n" not in done.stdout


def test_random_secrets_are_only_made_where_none_is_named(helm: Helm) -> None:
    def secrets(mode: str) -> set[str]:
        return {o["metadata"]["name"] for o in helm.render(mode) if o["kind"] == "Secret" and "data" in o}

    assert secrets("default") == {"cadre-keystore", "cadre-postgres"}
    assert secrets("external-database") == set()


@pytest.mark.parametrize("mode", MODES)
def test_what_holds_data_stays_when_the_release_goes(helm: Helm, mode: str) -> None:
    kept = {
        (obj["kind"], obj["metadata"]["name"])
        for obj in helm.render(mode)
        if obj["metadata"].get("annotations", {}).get("helm.sh/resource-policy") == "keep"
    }
    kinds = {"CustomResourceDefinition", "Namespace", "PersistentVolumeClaim"}
    holders = {
        (obj["kind"], obj["metadata"]["name"])
        for obj in helm.render(mode)
        if obj["kind"] in kinds or (obj["kind"] == "Secret" and "data" in obj)
    }
    assert kept == holders
