"""What a service account's address says."""

from __future__ import annotations


def project_of(email: str) -> str | None:
    """The id of its project; None for the accounts that Google makes, and of projects that are named after a domain."""
    domain = email.partition("@")[2].removesuffix(".gserviceaccount.com")
    project, _, kind = domain.rpartition(".")
    return project if kind == "iam" and project and "." not in project else None
