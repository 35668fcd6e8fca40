"""Checkpoints of LangGraph graphs, kept in Cadre's state: versioned, masked, within the quota of a scope."""

from cadre_langgraph.saver import CadreSaver
from cadre_langgraph.state import StateError, StateStore

__all__ = ["CadreSaver", "StateError", "StateStore"]
