"""Desktop mode's supervisor: starts, watches, restarts and ends the programs of one installation."""
