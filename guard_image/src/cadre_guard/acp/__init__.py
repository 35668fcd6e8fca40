"""The agent as we drive it: JSON-RPC on its pipes, sessions, prompts, permissions."""
