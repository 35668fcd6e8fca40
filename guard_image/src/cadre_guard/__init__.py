"""The privacy guard: an agent's only way in and out."""
