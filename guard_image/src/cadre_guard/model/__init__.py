"""The agent's one model: masks what goes up, restores what comes down, remembers what happened."""
