"""The door for HTTP requests of workflows: to declared hosts, at addresses that were looked at."""
