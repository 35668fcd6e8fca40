"""How well and how fast detection works, on generated labelled texts, beside stock presidio."""
