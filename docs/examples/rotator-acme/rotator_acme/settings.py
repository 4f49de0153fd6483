"""What the config says under `settings:` of a credential. rotator reads it, and says what is wrong with it."""

from __future__ import annotations

from rotator.settings.secret import SecretRef
from rotator.settings.section import Endpoint, Section


class AcmeSettings(Section):
    """One robot. Secrets by reference only, as everywhere in rotator."""

    robot: str
    api_url: Endpoint
    token: SecretRef  # rotator's own, with the rights that rights.py names
