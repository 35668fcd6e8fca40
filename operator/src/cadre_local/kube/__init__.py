"""A cluster as a person with a kubeconfig sees it: the API server, and the way to the controller."""
