"""The controller's stand, attacked."""

from tests.integration.controller.conftest import database, model, postgres, stand

__all__ = ["database", "model", "postgres", "stand"]
