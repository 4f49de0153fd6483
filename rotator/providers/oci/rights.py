"""The statements that an OCI policy needs, so that rotator may change the API keys of one user."""

from __future__ import annotations

import json

from rotator.providers.oci.settings import OciSettings

GROUP = "rotator"
"""The group that rotator's own user is in. A group outside the default identity domain is written 'DOMAIN'/'GROUP'."""


def statements(user: str) -> tuple[str, str]:
    """The least that rotator's own user must be allowed.

    USER_UPDATE alone would also change the user itself, its e-mail address for one: hence the operations.

    Args:
        user: the OCID of the user whose keys are rotated.
    """
    own = f"target.user.id = '{user}'"
    changes = "{USER_UPDATE, USER_APIKEY_ADD, USER_APIKEY_REMOVE}"
    operations = "any {request.operation = 'UploadApiKey', request.operation = 'DeleteApiKey'}"
    return (
        f"Allow group {GROUP} to {{USER_INSPECT, USER_READ}} in tenancy where {own}",
        f"Allow group {GROUP} to {changes} in tenancy where all {{{own}, {operations}}}",
    )


def rights(settings: OciSettings) -> str:
    """The statements, and the commands that make them the policy of a user of rotator's own."""
    tenancy, admin = settings.oci.tenancy, settings.oci.admin
    listed = statements(settings.oci.user)
    return f"""\
# The policy statements, in the root compartment:
{listed[0]}
{listed[1]}

# Or from nothing, as an administrator, with the OCI CLI:
oci iam group create --name {GROUP} --description "Rotates API keys"
oci iam user create --name {GROUP} --description "Rotates API keys"
oci iam group add-user --group-id GROUP_OCID --user-id ROTATOR_USER_OCID
cat >rotator-policy.json <<'END'
{json.dumps(listed, indent=2)}
END
oci iam policy create --compartment-id {tenancy} --name {GROUP} --description "Rotates API keys" \\
  --statements file://rotator-policy.json

# And a key of its own, into profile {admin.profile} of {admin.config_file}:
oci setup keys --key-name rotator
oci iam user api-key upload --user-id ROTATOR_USER_OCID --key-file ~/.oci/rotator_public.pem
"""
