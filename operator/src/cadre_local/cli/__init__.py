"""The `cadre` command line: one file per group of commands, thin over client, supervisor, renderers."""
