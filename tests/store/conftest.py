"""The rigs' fixtures: a rotation goes on with the store of a released version."""

from tests.support.fixtures import http, prepare

__all__ = ("http", "prepare")
