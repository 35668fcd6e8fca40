"""What an agent runs as: Kubernetes objects as plain dicts, or a child process on a desktop."""

from cadre_core.manifests.process import DesktopHost, ProcessSpec, process_spec
from cadre_core.manifests.settings import ClusterSettings
from cadre_core.manifests.workload import agent_manifests

__all__ = ["ClusterSettings", "DesktopHost", "ProcessSpec", "agent_manifests", "process_spec"]
