"""Gather, decide, apply: one module for each sort of key."""
