"""What keeps the agent in: namespaces and a private root, tried one by one, reported as measured."""
