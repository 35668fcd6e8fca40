"""The analyzer of a machine: reads texts for the guards of its pods, and remembers spans alone."""
