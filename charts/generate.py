"""Writes what the chart has from the code, and what others have from the chart: everything is said once.

`python -m charts.generate` writes; with `--check` it only compares. The kustomize base is what helm renders.
"""

import subprocess
import sys
from pathlib import Path

import yaml
from typing_extensions import override

from cadre_api.crdgen import render
from cadre_api.v1alpha1 import KINDS
from cadre_core.manifests.protection import ProtectionSettings, protection
from cadre_operator.admission.configuration import configurations
from cadre_operator.settings import WebhookSettings
from tests.support import gobuild

_ROOT = Path(__file__).parents[1]
_CHARTS = Path(__file__).parent
BASE = Path("charts/kustomize/cadre.yaml")
_HEADER = "{{- /* Generated from the code by `make generate`. Do not edit. */}}\n"
_LABELS = "  labels:\n    app.kubernetes.io/part-of: cadre\n"
_RELEASE_LABELS = '  labels: {{- include "cadre.labels" . | nindent 4 }}\n'
_KEEP = "  {{- if .Values.crds.keep }}\n  annotations:\n    helm.sh/resource-policy: keep\n  {{- end }}\n"
_INJECT = (
    '  {{- if eq .Values.tls.mode "CertManager" }}\n  annotations:\n'
    "    cert-manager.io/inject-ca-from: {{ .Release.Namespace }}/cadre-webhook-tls\n  {{- end }}\n"
)
_EXEMPT = (
    "    matchExpressions:\n    - key: kubernetes.io/metadata.name\n"
    "      operator: NotIn\n      values:\n      - '@exempt@'\n"
)
_PLACES = {
    "@operator@": '{{ include "cadre.operatorUser" . }}',
    "@break-glass@": "{{ .Values.protection.breakGlassGroup }}",
    "@namespace@": "{{ .Release.Namespace }}",
    "timeoutSeconds: 10\n": "timeoutSeconds: {{ .Values.webhook.timeoutSeconds }}\n",
    _EXEMPT: '    matchExpressions: {{- include "cadre.judgedNamespaces" . | nindent 6 }}\n',
    '["@exempt@"]': "{{ .Values.webhook.exemptNamespaces | default list | toJson }}",
    "failurePolicy: Fail\n  matchPolicy": "failurePolicy: {{ .Values.webhook.failurePolicy }}\n  matchPolicy",
}


class _Dumper(yaml.SafeDumper):
    @override
    def ignore_aliases(self, data: object) -> bool:
        return True


def files() -> dict[Path, str]:
    """Return the text of each generated file by its path, without what needs helm."""
    templates = Path("charts/cadre/templates")
    found = {templates / "crds" / name: _crd(text) for name, text in render().items()}
    found[templates / "admission" / "policies.yaml"] = _policies()
    found[templates / "admission" / "webhooks.yaml"] = _webhooks()
    found[Path("examples/04-gitops/argocd/argocd-cm.yaml")] = _argocd()
    return found


def kustomize_base(helm: Path) -> str:
    """Return what helm renders for those who have no helm; the two Secrets are theirs to make."""
    values = ["createNamespace=true"]
    values += ["keystore.existingSecret=cadre-keystore", "postgres.existingSecret=cadre-postgres"]
    command = [str(helm), "template", "cadre", str(_CHARTS / "cadre"), "--namespace=cadre-system"]
    command += ["--no-hooks", "--kube-version=1.34.4", f"--set={','.join(values)}"]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    return "# Generated from the chart by `make generate`. Do not edit.\n" + done.stdout


def _argocd() -> str:
    """The health script for each kind, as Argo CD's configuration takes it."""
    script = "".join(f"    {line}" if line.strip() else line for line in _health().splitlines(keepends=True))
    entries = "".join(f"  resource.customizations.health.cadre.dev_{kind}: |\n{script}" for kind in KINDS)
    header = "# Generated from charts/argocd/health.lua by `make generate`. Do not edit.\n"
    metadata = "metadata:\n  name: argocd-cm\n  labels: {app.kubernetes.io/part-of: argocd}\n"
    return f"{header}apiVersion: v1\nkind: ConfigMap\n{metadata}data:\n{entries}"


def _health() -> str:
    return (_CHARTS / "argocd" / "health.lua").read_text()


def _crd(text: str) -> str:
    body = _escaped(text.partition("\n")[2]).replace(_LABELS, _KEEP + _RELEASE_LABELS, 1)
    return f"{_HEADER}{{{{- if .Values.crds.install }}}}\n{body}{{{{- end }}}}\n"


def _policies() -> str:
    settings = ProtectionSettings(
        operator="@operator@", break_glass_group="@break-glass@", exempt=("@exempt@",)
    )
    body = _template(protection(settings)).replace(_LABELS, _RELEASE_LABELS)
    return f"{_HEADER}{{{{- if .Values.protection.enabled }}}}\n{body}{{{{- end }}}}\n"


def _webhooks() -> str:
    """The registration without the authority's certificate, which the operator or cert-manager puts in."""
    objects = configurations(
        WebhookSettings("", 0, "", "cadre-operator", exempt=("@exempt@",)), "@namespace@", b""
    )
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
    check = "--check" in arguments
    differing = [str(path) for path, text in files().items() if _put(path, text, check)]
    try:
        # after the templates, since it is rendered from them
        base = kustomize_base(gobuild.build(gobuild.HELM))
        differing += [str(BASE)] if _put(BASE, base, check) else []
    except gobuild.ProgramUnavailableError as error:
        sys.stderr.write(f"{BASE} left as it is: {error}\n")
    if check:
        sys.stderr.writelines(f"{path} differs from the code: run `make generate`\n" for path in differing)
    return 1 if check and differing else 0


def _put(path: Path, text: str, check: bool) -> bool:
    """Write a file unless it is right already; whether it was not."""
    target = _ROOT / path
    if target.exists() and target.read_text() == text:
        return False
    if not check:
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_text(text)
    return True


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
