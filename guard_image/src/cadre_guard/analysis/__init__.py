"""Detection in processes of its own: a scan neither blocks the event loop nor takes the guard down."""
