"""Writes what the chart has from the code: resource definitions, policies and webhooks are said once.

`python charts/generate.py` writes; with `--check` it only compares.
"""

import sys
from pathlib import Path

import yaml
from typing_extensions import override

from cadre_api.crdgen import render
from cadre_core.manifests.protection import ProtectionSettings, protection
from cadre_operator.admission.configuration import configurations
from cadre_operator.settings import WebhookSettings

_CHART = Path(__file__).parent / "cadre"
_HEADER = "{{- /* Generated from the code by `make generate`. Do not edit. */}}\n"
_LABELS = "  labels:\n    app.kubernetes.io/part-of: cadre\n"
_RELEASE_LABELS = '  labels: {{- include "cadre.labels" . | nindent 4 }}\n'
_KEEP = "  {{- if .Values.crds.keep }}\n  annotations:\n    helm.sh/resource-policy: keep\n  {{- end }}\n"
_INJECT = (
    '  {{- if eq .Values.tls.mode "CertManager" }}\n  annotations:\n'
    "    cert-manager.io/inject-ca-from: {{ .Release.Namespace }}/cadre-webhook-tls\n  {{- end }}\n"
)
_PLACES = {
    "@operator@": '{{ include "cadre.operatorUser" . }}',
    "@break-glass@": "{{ .Values.protection.breakGlassGroup }}",
    "@namespace@": "{{ .Release.Namespace }}",
    "failurePolicy: Fail\n  matchPolicy": "failurePolicy: {{ .Values.webhook.failurePolicy }}\n  matchPolicy",
}


class _Dumper(yaml.SafeDumper):
    @override
    def ignore_aliases(self, data: object) -> bool:
        return True


def files() -> dict[Path, str]:
    """Return the text of each generated template by its path in the chart."""
    found = {Path("templates/crds") / name: _crd(text) for name, text in render().items()}
    found[Path("templates/admission/policies.yaml")] = _policies()
    found[Path("templates/admission/webhooks.yaml")] = _webhooks()
    return found


def _crd(text: str) -> str:
    body = _escaped(text.partition("\n")[2]).replace(_LABELS, _KEEP + _RELEASE_LABELS, 1)
    return f"{_HEADER}{{{{- if .Values.crds.install }}}}\n{body}{{{{- end }}}}\n"


def _policies() -> str:
    settings = ProtectionSettings(operator="@operator@", break_glass_group="@break-glass@")
    body = _template(protection(settings)).replace(_LABELS, _RELEASE_LABELS)
    return f"{_HEADER}{{{{- if .Values.protection.enabled }}}}\n{body}{{{{- end }}}}\n"


def _webhooks() -> str:
    """The registration without the authority's certificate, which the operator or cert-manager puts in."""
    objects = configurations(WebhookSettings("", 0, "", "cadre-operator"), "@namespace@", b"")
    for obj in objects:
        for webhook in obj["webhooks"]:  # type: ignore[attr-defined]
            del webhook["clientConfig"]["caBundle"]
    return _HEADER + _template(objects).replace(_LABELS, _INJECT + _RELEASE_LABELS)


def _template(objects: tuple[dict[str, object], ...]) -> str:
    text = _escaped(yaml.dump_all(objects, Dumper=_Dumper, sort_keys=False, width=10_000))
    for place, expression in _PLACES.items():
        text = text.replace(place, expression)
    return text


def _escaped(text: str) -> str:
    return text.replace("{{", '{{ "{{" }}')


def main(arguments: list[str]) -> int:
    """Write the files, or name those that differ."""
    differing = []
    for path, text in files().items():
        target = _CHART / path
        if target.exists() and target.read_text() == text:
            continue
        differing.append(str(path))
        if "--check" not in arguments:
            target.parent.mkdir(parents=True, exist_ok=True)
            target.write_text(text)
    if "--check" in arguments:
        sys.stderr.writelines(f"{path} differs from the code: run `make generate`\n" for path in differing)
        return 1 if differing else 0
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
