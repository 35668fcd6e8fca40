"""Who is asking: tokens, the grants that give them, and the gate in front of every route."""
