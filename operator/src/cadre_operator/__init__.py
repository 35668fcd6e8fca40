"""Watches a cluster's org chart, judges who may write what, and keeps agents' objects as they should be."""

from cadre_operator.kube.library import import_on_demand

import_on_demand()
