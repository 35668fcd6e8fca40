"""The one way out: everything a guard says to its controller."""
