"""The controller's public API as the command line and the supervisor use it: plain HTTP, no event loop."""
