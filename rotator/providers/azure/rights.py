"""What a tenant of Microsoft Entra ID must allow rotator, for one application."""

from __future__ import annotations

from rotator.providers.azure.settings import AzureSettings

# https://learn.microsoft.com/en-us/graph/permissions-reference
_GRAPH = "00000003-0000-0000-c000-000000000000"
_OWNED_BY = "18a4783c-866b-4cc7-a460-3d5e5662c884"  # Application.ReadWrite.OwnedBy
_AUDIT_LOG = "b0afded3-3588-46d8-8b3d-9842eff778da"  # AuditLog.Read.All


def rights(settings: AzureSettings) -> str:
    """The permission and the ownership, as `az` commands."""
    azure = settings.azure
    rotator = azure.admin.client_id or "CLIENT_ID_OF_ROTATOR"
    roles = f"{_OWNED_BY}"
    also = ""
    if settings.shows_use:
        roles += f" {_AUDIT_LOG}"
        also = "\n# AuditLog.Read.All, to see when a secret was last used (`evidence`): read the report on credentials."
    return f"""\
# The least that rotator needs for the application {azure.client_id}
# in the tenant {azure.tenant_id}. To paste by someone who may grant application permissions
# (Privileged Role Administrator), with `az login --tenant` done. No role in a subscription is needed.

# Application.ReadWrite.OwnedBy: write the applications that rotator owns, and no others.{also}
# It must be another application, or a managed identity, than the one whose secrets are rotated.
ROTATOR=$(az ad sp show --id {rotator} --query id --output tsv)
GRAPH=$(az ad sp show --id {_GRAPH} --query id --output tsv)
URL=$(az cloud show --query endpoints.microsoftGraphResourceId --output tsv)
for ROLE in {roles}; do
  az rest --method POST --uri "${{URL%/}}/v1.0/servicePrincipals/$ROTATOR/appRoleAssignments" \\
    --body "{{\\"principalId\\": \\"$ROTATOR\\", \\"resourceId\\": \\"$GRAPH\\", \\"appRoleId\\": \\"$ROLE\\"}}"
done

# Ownership of this one application.
az ad app owner add --id {azure.client_id} --owner-object-id "$ROTATOR"

# An access token that rotator has already doesn't change: the new rights show within an hour, or after a restart.
"""
