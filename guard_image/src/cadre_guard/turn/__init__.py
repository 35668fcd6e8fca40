"""One piece of work: claimed, run through the agent, judged by what its model calls really did."""
