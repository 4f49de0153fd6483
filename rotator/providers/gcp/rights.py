"""The rights that rotator needs over the keys of one Google Cloud service account."""

from __future__ import annotations

from rotator.providers.gcp.settings import GcpSettings, project_of

_KEYS = ("create", "delete", "disable", "enable", "get", "list")
_ROLE = "rotatorKeys"


def rights(settings: GcpSettings) -> str:
    """A custom role, and the commands that make it and grant it on this one account."""
    email = settings.service_account
    project = project_of(email) or "PROJECT"
    permissions = [f"iam.serviceAccountKeys.{action}" for action in _KEYS]
    permissions.append("iam.serviceAccounts.get")
    listed = "\n".join(f"  - {permission}" for permission in permissions)
    return f"""\
# Save as rotator-role.yaml. ROTATOR is rotator's own identity, such as
# serviceAccount:rotator@{project}.iam.gserviceaccount.com. An upload needs iam.serviceAccountKeys.create, too.
title: rotator, keys
description: Rotates the keys of the service accounts that it is granted on.
stage: GA
includedPermissions:
{listed}

# gcloud services enable iam.googleapis.com --project {project}
# gcloud iam roles create {_ROLE} --project {project} --file rotator-role.yaml
# gcloud iam service-accounts add-iam-policy-binding {email} \\
#     --project {project} --member ROTATOR --role projects/{project}/roles/{_ROLE}
{_evidence(project) if settings.shows_use else ""}"""


def _evidence(project: str) -> str:
    return f"""
# To see when a key was last used (`evidence`); this one can be granted on the whole project only, and only reads:
# gcloud services enable policyanalyzer.googleapis.com --project {project}
# gcloud projects add-iam-policy-binding {project} \\
#     --member ROTATOR --role roles/policyanalyzer.activityAnalysisViewer
"""
