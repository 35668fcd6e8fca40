"""Attacks on what runs: each test is something that must not work."""
