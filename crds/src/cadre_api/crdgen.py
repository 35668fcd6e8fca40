"""Writes the CRDs from the models, so that a cluster enforces what the code reads.

`python -m cadre_api.crdgen OUTDIR` writes one file per kind; with `--check` it only compares.
"""

import argparse
import sys
from pathlib import Path
from typing import Any

import yaml
from typing_extensions import override

from cadre_api.schema import Column
from cadre_api.structural import Schema, structural
from cadre_api.v1alpha1 import GROUP, KINDS, VERSION, Resource

_HEADER = "# Generated from the models of cadre_api by `make generate`. Do not edit.\n"
_METADATA = {"apiVersion": {"type": "string"}, "kind": {"type": "string"}, "metadata": {"type": "object"}}


class _Dumper(yaml.SafeDumper):
    """Plain YAML: equal parts are written out, never as anchors."""

    @override
    def ignore_aliases(self, data: object) -> bool:
        return True


def crd(kind: type[Resource]) -> dict[str, Any]:
    """Return the CustomResourceDefinition of a kind."""
    names = kind.crd
    return {
        "apiVersion": "apiextensions.k8s.io/v1",
        "kind": "CustomResourceDefinition",
        "metadata": {"name": f"{names.plural}.{GROUP}", "labels": {"app.kubernetes.io/part-of": "cadre"}},
        "spec": {
            "group": GROUP,
            "names": {
                "kind": kind.__name__,
                "listKind": f"{kind.__name__}List",
                "plural": names.plural,
                "singular": names.singular,
                "shortNames": [names.short_name],
                "categories": ["cadre"],
            },
            "scope": "Namespaced",
            "versions": [_version(kind)],
        },
    }


def _version(kind: type[Resource]) -> dict[str, Any]:
    return {
        "name": VERSION,
        "served": True,
        "storage": True,
        "schema": {"openAPIV3Schema": root_schema(kind)},
        "subresources": _subresources(kind),
        "additionalPrinterColumns": [_column(column) for column in kind.crd.columns],
    }


def root_schema(kind: type[Resource]) -> Schema:
    """Return the structural schema of a kind; metadata is left to Kubernetes."""
    schema = structural(kind.model_json_schema(by_alias=True, mode="validation"))
    own = {name: schema["properties"][name] for name in ("spec", "status")}
    schema["properties"] = {**_METADATA, **own}
    schema["required"] = ["spec"]
    return schema


def _subresources(kind: type[Resource]) -> dict[str, Any]:
    scale = kind.crd.scale
    if scale is None:
        return {"status": {}}
    paths = {
        "specReplicasPath": scale.spec_replicas,
        "statusReplicasPath": scale.status_replicas,
        "labelSelectorPath": scale.selector,
    }
    return {"scale": paths, "status": {}}


def _column(column: Column) -> dict[str, Any]:
    entry: dict[str, Any] = {"name": column.name, "type": column.type, "jsonPath": column.json_path}
    return {**entry, "priority": column.priority} if column.priority else entry


def render() -> dict[str, str]:
    """Return the text of each CRD file by its name, the same on every run."""
    return {
        f"{kind.crd.plural}.yaml": _HEADER + yaml.dump(crd(kind), Dumper=_Dumper, sort_keys=False, width=110)
        for kind in KINDS.values()
    }


def check(folder: Path) -> list[str]:
    """Name the files in `folder` that differ from what the models say, are missing, or have no kind."""
    wanted = render()
    present = {path.name: path.read_text(encoding="utf-8") for path in folder.glob("*.yaml")}
    return sorted(name for name in wanted.keys() | present.keys() if wanted.get(name) != present.get(name))


def main(arguments: list[str] | None = None) -> int:
    """Write the CRDs or check them; 1 if the check finds a difference."""
    parser = argparse.ArgumentParser(prog="python -m cadre_api.crdgen", description=__doc__)
    parser.add_argument("--check", action="store_true", help="compare only")
    parser.add_argument("folder", type=Path, metavar="OUTDIR")
    options = parser.parse_args(arguments)
    if options.check:
        different = check(options.folder)
        sys.stderr.writelines(f"{name} differs from the models: run `make generate`\n" for name in different)
        return 1 if different else 0
    options.folder.mkdir(parents=True, exist_ok=True)
    for name, text in render().items():
        (options.folder / name).write_text(text, encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
