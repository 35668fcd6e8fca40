"""The webhooks' registration at the API server: pure, so that the chart's copy can be compared with it."""

import base64

from cadre_api.v1alpha1 import GROUP, KINDS, VERSION
from cadre_operator.kube.fields import Json
from cadre_operator.settings import WebhookSettings

_NAME = "cadre-operator"
_ADMISSION = "admissionregistration.k8s.io/v1"
_NAME_LABEL = "kubernetes.io/metadata.name"
"""The API server itself keeps it, so that nobody exempts a namespace by a label."""


def configurations(settings: WebhookSettings, namespace: str, bundle: bytes) -> tuple[Json, Json]:
    """Return the mutating and the validating configuration."""
    kinds = [kind.crd.plural for kind in KINDS.values()]
    mutating = _webhook("mutate", settings, namespace, bundle, [_rule(["CREATE", "UPDATE"], kinds)])
    validating = _webhook(
        "validate", settings, namespace, bundle, [_rule(["CREATE", "UPDATE", "DELETE"], kinds)]
    )
    scale = _webhook("scale", settings, namespace, bundle, [_rule(["UPDATE"], ["agents/scale"])])
    mutating["reinvocationPolicy"] = "IfNeeded"
    return (
        _configuration("MutatingWebhookConfiguration", [mutating]),
        _configuration("ValidatingWebhookConfiguration", [validating, scale]),
    )


def _configuration(kind: str, webhooks: list[Json]) -> Json:
    metadata = {"name": _NAME, "labels": {"app.kubernetes.io/part-of": "cadre"}}
    return {"apiVersion": _ADMISSION, "kind": kind, "metadata": metadata, "webhooks": webhooks}


def _webhook(path: str, settings: WebhookSettings, namespace: str, bundle: bytes, rules: list[Json]) -> Json:
    return {
        "name": f"{path}.{GROUP}",
        "admissionReviewVersions": ["v1"],
        "clientConfig": {**_client(path, settings, namespace), "caBundle": base64.b64encode(bundle).decode()},
        "failurePolicy": settings.failure_policy,
        "matchPolicy": "Equivalent",
        "namespaceSelector": {"matchExpressions": _all_but(settings.exempt)},
        "sideEffects": "None",
        "timeoutSeconds": settings.timeout,
        "rules": rules,
    }


def _all_but(exempt: tuple[str, ...]) -> list[Json]:
    return [{"key": _NAME_LABEL, "operator": "NotIn", "values": list(exempt)}] if exempt else []


def _client(path: str, settings: WebhookSettings, namespace: str) -> Json:
    if settings.url:
        return {"url": f"{settings.url}/{path}"}
    return {"service": {"name": settings.service, "namespace": namespace, "path": f"/{path}", "port": 443}}


def _rule(operations: list[str], resources: list[str]) -> Json:
    return {
        "apiGroups": [GROUP],
        "apiVersions": [VERSION],
        "operations": operations,
        "resources": resources,
        "scope": "Namespaced",
    }


def hosts(settings: WebhookSettings, namespace: str) -> tuple[str, ...]:
    """Return the names under which the API server calls."""
    if settings.url:
        host = settings.url.partition("://")[2].partition("/")[0]
        return (host.rpartition(":")[0].strip("[]") if ":" in host else host,)
    return (f"{settings.service}.{namespace}.svc", f"{settings.service}.{namespace}.svc.cluster.local")
