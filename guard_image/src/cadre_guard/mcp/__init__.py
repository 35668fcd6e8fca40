"""Our tools as the agent sees them: MCP over HTTP on a port that only the agent can reach."""
