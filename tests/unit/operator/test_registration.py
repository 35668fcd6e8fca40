"""How the webhooks are registered: what the API server is told to ask about, and when it is told again."""

from datetime import UTC, datetime

from cadre_operator.admission.configuration import configurations
from cadre_operator.admission.keeper import Keeper
from cadre_operator.kube.fields import Json, items
from cadre_operator.kube.port import Ref
from cadre_operator.settings import WebhookSettings
from tests.unit.operator.fakes import MemoryKube

NOW = datetime(2026, 1, 5, tzinfo=UTC)
KINDS = ("MutatingWebhookConfiguration", "ValidatingWebhookConfiguration")


def settings(exempt: tuple[str, ...] = (), timeout: int = 10) -> WebhookSettings:
    return WebhookSettings("", 9443, "", "cadre-operator", timeout=timeout, exempt=exempt)


def hooks(kube: MemoryKube) -> list[Json]:
    """All webhooks as they are registered."""
    ref = (Ref("admissionregistration.k8s.io/v1", kind, "", "cadre-operator") for kind in KINDS)
    return [dict(hook) for found in ref for hook in items(kube.objects[found], "webhooks")]


def applied(kube: MemoryKube) -> int:
    return sum(verb == "apply" for verb, _ in kube.requests)


def test_all_are_asked_about_but_what_is_exempt() -> None:
    for obj in configurations(settings(("kube-system",), 3), "sys", b"ca"):
        for hook in items(obj, "webhooks"):
            names = {"key": "kubernetes.io/metadata.name", "operator": "NotIn", "values": ["kube-system"]}
            assert hook["namespaceSelector"] == {"matchExpressions": [names]}
            assert hook["timeoutSeconds"] == 3


async def test_an_exemption_that_ends_is_taken_back_and_none_is_no_difference() -> None:
    kube = MemoryKube()
    await Keeper(kube, settings(("kube-system",)), "sys").ensure(NOW)
    assert applied(kube) == 2
    judging = Keeper(kube, settings(), "sys")
    await judging.ensure(NOW)
    assert applied(kube) == 4
    assert [hook["namespaceSelector"] for hook in hooks(kube)] == [{"matchExpressions": []}] * 3
    for ref, obj in kube.objects.items():
        if ref.kind in KINDS:  # as the API server stores them: without what is empty
            kube.objects[ref] = obj | {
                "webhooks": [{**hook, "namespaceSelector": {}} for hook in items(obj, "webhooks")]
            }
    await judging.ensure(NOW)
    assert applied(kube) == 4
