"""What the controller does, free of HTTP: each service one concern, everything injected."""
