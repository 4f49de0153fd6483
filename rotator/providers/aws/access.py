"""How to get into AWS: which identity, which endpoints, how patiently."""

from __future__ import annotations

import os
from dataclasses import dataclass
from datetime import timedelta
from functools import cache, partial
from urllib.parse import urlsplit

import httpx
from botocore.config import Config
from botocore.credentials import AssumeRoleCredentialFetcher, Credentials, DeferredRefreshableCredentials
from botocore.exceptions import NoCredentialsError
from botocore.loaders import Loader, create_loader
from botocore.session import Session

from rotator import __version__
from rotator.errors import RotatorError
from rotator.http.outside_text import outside_text
from rotator.http.proxies import Proxies
from rotator.providers.aws.carrier import Carrier
from rotator.providers.aws.own import ask_nothing
from rotator.providers.aws.partitions import DEFAULT_REGION
from rotator.providers.aws.settings import AwsSection
from rotator.settings.section import is_https_or_loopback
from rotator.settings.textfile import must_be_sane

USER_AGENT = f"rotator/{__version__}"
"""CloudTrail shows it, so rotator's calls can be found there."""

SESSION_NAME = "rotator"
"""How CloudTrail names the sessions of a role that rotator assumed."""


@dataclass(frozen=True, slots=True)
class AwsAccess:
    """How to get into AWS. Credentials with equal values share their clients.

    Args:
        section: what the config says.
        deadline: how long any one call may take.
    """

    section: AwsSection
    deadline: timedelta

    def sessions(self, carrier: Carrier) -> tuple[Session, Session]:
        """The SDK's session of our own identity, and of the one to act as: the role's, or the same one.

        Args:
            carrier: carries their requests.

        Raises:
            botocore.exceptions.BotoCoreError: there is no such profile, or there are no credentials.
        """
        own = _session(self.section.profile, carrier)
        if self.section.assume_role is None:
            return own, own
        fetcher = AssumeRoleCredentialFetcher(
            partial(
                own.create_client,
                region_name=self.region_of(own) or DEFAULT_REGION,
                endpoint_url=self.section.sts_endpoint,
                config=self.config(attempts=2),
            ),
            credentials_of(own),
            self.section.assume_role,
            extra_args={"RoleSessionName": SESSION_NAME},
        )
        acting = _session(self.section.profile, carrier)
        acting.register_component("credential_provider", _AssumedRole(fetcher))
        return own, acting

    def region_of(self, session: Session) -> str | None:
        """The region that the config, the SDK's variables and files, or AWS_REGION name; None where none of them does.

        ECS and Lambda set AWS_REGION, which all SDKs of AWS's read but this one.
        """
        region = self.section.region or session.get_config_variable("region") or os.environ.get("AWS_REGION")
        return str(region) if region else None

    def config(self, *, attempts: int) -> Config:
        """Of a client that sends each request at most so often."""
        return Config(
            retries={"total_max_attempts": attempts, "mode": "standard"},
            user_agent_extra=USER_AGENT,
        )


def credentials_of(session: Session) -> Credentials:
    """Its credentials, which renew themselves where they expire.

    Raises:
        botocore.exceptions.BotoCoreError: there are none.
    """
    found = session.get_credentials()
    if found is None:
        raise NoCredentialsError
    return found


def files_of(session: Session) -> tuple[str, ...]:
    """The files that this session reads once. A web identity's token and an SSO token are read at each renewal."""
    names = ("credentials_file", "config_file", "ca_bundle")
    files = (session.get_config_variable(name) for name in names)
    return tuple(str(file) for file in (*files, os.environ.get("REQUESTS_CA_BUNDLE")) if file)


def checked_endpoint(service: str, url: str, setting: str | None) -> str:
    """For the operator: a service's address, where that came from, and the proxy before it.

    Args:
        service: `iam` or `sts`.
        url: the address that the SDK will use.
        setting: what the credential's section says about it.

    Raises:
        RotatorError: it is not https, and not loopback either.
    """
    variable = f"AWS_ENDPOINT_URL_{service.upper()}"
    origins = {
        os.environ.get("AWS_ENDPOINT_URL"): "AWS_ENDPOINT_URL",
        os.environ.get(variable): variable,
        setting: f"{service}_endpoint",
    }
    endpoint = f"{service.upper()} at {outside_text(url)}, from {origins.get(url, 'the region or the AWS profile')}"
    if not is_https_or_loopback(url):
        raise RotatorError(
            f"{endpoint}, is not https",
            remedy="Use https: plain http is allowed on loopback only. rotator called nothing.",
        )
    proxy = urlsplit(Proxies.of(os.environ).before(httpx.URL(url)) or "")
    # Without its user and password.
    return f"{endpoint}, through the proxy {proxy.hostname}:{proxy.port}" if proxy.hostname else endpoint


def _session(profile: str | None, carrier: Carrier) -> Session:
    session = Session(profile=profile)
    for file in files_of(session):
        must_be_sane(file)
    carrier.carry_for(session)
    ask_nothing(session)
    session.register_component("data_loader", _models())
    # Where AWS_STS_REGIONAL_ENDPOINTS says `legacy`, the old regions would be proved in us-east-1.
    session.set_config_variable("sts_regional_endpoints", "regional")
    return session


@cache
def _models() -> Loader:
    # AWS's service models, the same for all sessions: to read them again costs each one 100 ms and 8 MB.
    return create_loader()


class _AssumedRole:
    """Stands in for a session's chain of credential providers."""

    def __init__(self, fetcher: AssumeRoleCredentialFetcher) -> None:
        self._fetcher = fetcher

    def load_credentials(self) -> Credentials:
        """Credentials that renew themselves; nothing is called yet."""
        return DeferredRefreshableCredentials(self._fetcher.fetch_credentials, "assume-role")
