"""The command line against a cluster: the real program, a real API server, a real operator."""
