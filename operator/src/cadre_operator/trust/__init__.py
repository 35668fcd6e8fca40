"""What the system has to trust: its authority, certificates and keys, and where the agents find them."""
