"""Pure: what objects say about themselves, and whether that is news."""
