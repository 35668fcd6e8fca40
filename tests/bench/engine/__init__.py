"""The work engine: submission, claims, workflows, messages, routing; rivals run on the same Postgres."""

PARTS = ("deciding", "submission", "claims", "replicas", "flows", "messages", "connected")
