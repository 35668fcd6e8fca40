"""Pure: what one agent's objects should be, and what to do about what they are."""
