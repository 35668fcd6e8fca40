"""Alerts and dashboard speak of metrics that the programs really have."""

import json
import re
from collections.abc import Iterator

import pytest
import yaml
from prometheus_client import CollectorRegistry

from cadre_controller.metrics import Metrics as ControllerMetrics
from cadre_operator.metrics import Metrics as OperatorMetrics
from tests.integration.chart.rendering import CHART, Helm

_METRIC = re.compile(r"\bcadre_[a-z_]+")


def _named(registry: CollectorRegistry) -> Iterator[str]:
    for family in registry.collect():
        ends = {"counter": ("_total",), "histogram": ("_bucket", "_sum", "_count")}.get(family.type, ("",))
        yield from (family.name + end for end in ends)


@pytest.fixture(scope="module")
def metrics() -> set[str]:
    """The names under which the programs' metrics are scraped."""
    operator = OperatorMetrics()
    for name in re.findall(r'metrics\.watch\("(cadre_[a-z_]+)"', _assembly()):
        operator.watch(name, name, lambda: 0.0)
    operator.watch_conditions(dict)
    return {*_named(operator.registry), *_named(ControllerMetrics().registry)}


def _assembly() -> str:
    source = CHART.parents[1] / "operator" / "src" / "cadre_operator" / "assemble.py"
    return source.read_text()


def test_every_alert_looks_at_a_metric_and_says_what_to_do(helm: Helm, metrics: set[str]) -> None:
    rules = helm.find("everything", "PrometheusRule", "cadre")["spec"]["groups"][0]["rules"]
    assert len(rules) >= 8
    for rule in rules:
        assert set(_METRIC.findall(rule["expr"])) <= metrics, rule["alert"]
        assert rule["annotations"].keys() == {"summary", "action"}
        assert rule["labels"]["severity"] in ("warning", "critical")


def test_every_panel_looks_at_a_metric(helm: Helm, metrics: set[str]) -> None:
    text = helm.find("everything", "ConfigMap", "cadre-dashboard")["data"]["cadre.json"]
    panels = json.loads(text)["panels"]
    assert len(panels) >= 15
    for panel in panels:
        for target in panel["targets"]:
            assert set(_METRIC.findall(target["expr"])) <= metrics, panel["title"]


def test_the_monitors_select_the_services_ports(helm: Helm) -> None:
    for name in ("cadre-operator", "cadre-controller"):
        monitor = helm.find("everything", "ServiceMonitor", name)["spec"]
        service = helm.find("everything", "Service", name)
        wanted = monitor["selector"]["matchLabels"].items()
        assert wanted <= service["metadata"]["labels"].items()
        assert monitor["endpoints"][0]["port"] in {port["name"] for port in service["spec"]["ports"]}


def test_the_rules_file_is_what_is_shipped(helm: Helm) -> None:
    rules = helm.find("everything", "PrometheusRule", "cadre")["spec"]["groups"][0]["rules"]
    assert rules == yaml.safe_load((CHART / "files" / "rules.yaml").read_text())
