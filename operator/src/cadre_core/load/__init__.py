"""YAML text in, typed resources out: every problem with file, line, field and fix, and none hides another."""

from cadre_core.load.documents import parse_documents
from cadre_core.resources import Position, Resources, key_of

__all__ = ["Position", "Resources", "key_of", "parse_documents"]
