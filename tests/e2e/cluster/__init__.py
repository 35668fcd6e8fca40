"""A real Kubernetes cluster for tests, made from packages and modules where no container registry answers."""
