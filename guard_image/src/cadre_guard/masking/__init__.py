"""Values out, tokens in, and back: what this agent's sessions may see is decided here."""
