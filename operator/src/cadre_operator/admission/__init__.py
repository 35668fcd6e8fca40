"""Who may write what, asked before it is stored."""
