"""`make demo`: the main job on this machine, played through the real command line, told step by step."""
