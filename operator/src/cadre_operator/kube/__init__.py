"""Talking to the Kubernetes API, behind a port that tests and other clients can replace."""
