"""What an operator decides: a YAML file, environment variables over it, and every error with its place.

A package, so that writing (`source`, `yaml_source`, `environment`), meaning (the sections) and contradictions
(`satisfiable`) can be read apart.
"""

from rotator.config.credential import CredentialSection, IntegrationSection
from rotator.config.load import load
from rotator.config.models import Audit, Config, Connection, Log, Store
from rotator.config.policy import PolicySection
from rotator.config.satisfiable import warnings
from rotator.settings.durations import format_duration, parse_duration
from rotator.settings.secret import SecretRef

__all__ = [
    "Audit",
    "Config",
    "Connection",
    "CredentialSection",
    "IntegrationSection",
    "Log",
    "PolicySection",
    "SecretRef",
    "Store",
    "format_duration",
    "load",
    "parse_duration",
    "warnings",
]
