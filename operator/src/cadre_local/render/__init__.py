"""Answers as people read them: pure functions from the wire's models to rich renderables and lines."""
