"""What the cluster holds, as kopf's watches and indexes tell it."""
