"""Where the agent runs and how it is reached: our own child on a desktop, a container beside us in a pod."""
