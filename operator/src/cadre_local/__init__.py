"""Cadre on one machine: the `cadre` command line, and desktop mode, which supervises all programs."""
