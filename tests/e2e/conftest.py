"""The rigs' fixtures, for this directory."""

from tests.support.fixtures import http, make_rig, prepare, rig

__all__ = ("http", "make_rig", "prepare", "rig")
