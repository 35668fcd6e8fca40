"""The two doors through which work leaves Cadre: models and tools. Each decides again and trusts no guard."""
