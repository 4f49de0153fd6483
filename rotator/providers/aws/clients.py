"""The clients of one way into AWS, shared by the credentials that take it."""

from __future__ import annotations

import re
import threading
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import timedelta
from functools import cached_property
from http import HTTPStatus
from typing import TYPE_CHECKING, Any, cast
from urllib.parse import urlsplit

import boto3
from botocore.auth import SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials, ReadOnlyCredentials, RefreshableCredentials
from botocore.exceptions import BotoCoreError, ClientError
from botocore.model import Shape
from botocore.parsers import create_parser
from botocore.session import Session
from pydantic import SecretStr

from rotator.clock import Clock
from rotator.errors import RotatorError
from rotator.http.calls import beforehand
from rotator.http.clients import HttpClients
from rotator.http.outside_text import outside_text
from rotator.providers._shared import Shared, quieten
from rotator.providers.aws.access import USER_AGENT, AwsAccess, checked_endpoint, credentials_of, files_of
from rotator.providers.aws.carrier import Carrier
from rotator.providers.aws.errors import AwsAnswer, ask, attempt, readable_time
from rotator.providers.aws.own import Fault, fault_of
from rotator.providers.aws.partitions import DEFAULT_REGION, mismatch
from rotator.providers.base import Tools

if TYPE_CHECKING:
    from mypy_boto3_iam import IAMClient
    from mypy_boto3_sts import STSClient

LEAKING_LOGGERS = ("botocore",)
"""At DEBUG, `botocore.parsers` logs every body, and so each new secret; `botocore.auth` the session token."""

_CHECK = "Check the credential's `aws` section, and the AWS variables in rotator's environment."
_WHOAMI = b"Action=GetCallerIdentity&Version=2011-06-15"


@dataclass(frozen=True, slots=True)
class Arn:
    """The ARN of a principal."""

    partition: str
    account: str
    kind: str
    path: str

    @classmethod
    def found_in(cls, text: str) -> Arn | None:
        """The first one in a text that may hold more."""
        found = re.search(r"arn:([\w-]+):\w+::(\d+):([\w-]+)(?:/(\S+))?", text)
        return None if found is None else cls(found[1], found[2], found[3], found[4] or "")


class AwsClients:
    """The clients of one way into AWS. Thread-safe, as botocore's clients are.

    Args:
        access: the way.
        carrier: carries all requests.

    Attributes:
        operation: all that is asked in this `with` block shares one deadline.

        iam: for reads: tries twice.
        iam_once: for changes: one attempt on the wire.
        sts_once: for a use that isn't to be repeated.
        region: where STS is asked.
        named_region: None where none is named anywhere: then the SDK's default is meant.
        region_is_one: it has the form of one.
        endpoints: for the operator: each service's address, where that came from, and the proxy before it.
        files: what its own credentials, and what it trusts, were read from.
        is_aws: IAM is asked at an address of AWS's own, a private one in a VPC included.

    Raises:
        RotatorError: there is no such profile, there are no credentials, or an endpoint isn't https.
    """

    def __init__(self, access: AwsAccess, carrier: Carrier) -> None:
        self.operation = carrier.operation
        self._carrier = carrier
        # From Python 3.12 on, cached_property has no lock of its own: all that begin at once would ask.
        self._asking = threading.RLock()
        try:
            self._open(access)
        except (BotoCoreError, OSError, ValueError) as error:
            fault = fault_of(error) or Fault(outside_text(error), _CHECK)
        else:
            return
        raise RotatorError(f"AWS can't be used: {fault.text}", remedy=fault.remedy)

    def _open(self, access: AwsAccess) -> None:
        section = access.section
        own, acting = access.sessions(self._carrier)
        self._http = self._carrier.http(own)
        self.files = files_of(own)
        self._own, self._acting = credentials_of(own), credentials_of(acting)
        acting.get_component("response_parser_factory").set_parser_defaults(timestamp_parser=readable_time)
        session = boto3.Session(botocore_session=acting)
        self.named_region = access.region_of(own)
        self.region: str = self.named_region or DEFAULT_REGION
        self.must_reach({"aws.assume_role": section.assume_role})

        def iam(attempts: int) -> IAMClient:
            config = access.config(attempts=attempts)
            return session.client("iam", region_name=self.region, endpoint_url=section.iam_endpoint, config=config)

        self.iam = iam(attempts=2)
        self.iam_once = self._carrier.carry_once(iam(attempts=1), acting)
        sts: STSClient = session.client(
            "sts", region_name=self.region, endpoint_url=section.sts_endpoint, config=access.config(attempts=1)
        )
        self.sts_once = self._carrier.carry_once(sts, acting)
        about_sts = self.sts_once.meta
        self._sts_url = about_sts.endpoint_url
        self.region_is_one = _has_form_of_a_region(acting, self.region)
        self.is_aws = _is_of_aws(acting, self.iam.meta.endpoint_url)
        self._whoami_answer = cast("Shape", about_sts.service_model.operation_model("GetCallerIdentity").output_shape)
        self.endpoints = (
            checked_endpoint("iam", self.iam.meta.endpoint_url, section.iam_endpoint),
            checked_endpoint("sts", self._sts_url, section.sts_endpoint),
        )

    def must_reach(self, arns: Mapping[str, str | None]) -> None:
        """Make sure that what these ARNs name is where requests go.

        Args:
            arns: by the field of the config that has each.

        Raises:
            RotatorError: an ARN is of another partition than the region.
        """
        problem = mismatch(arns, self.named_region)
        if problem is not None:
            raise RotatorError(f"AWS can't be used: {problem[0]}", remedy=problem[1])

    def renew(self) -> None:
        """Renew the session of an assumed role if it must be: inside of a change that would look like its own failure.

        Raises:
            CallFailed: never UNKNOWN.
        """
        beforehand(lambda: attempt("renewing rotator's own session", self._acting.get_frozen_credentials))

    def secrets(self) -> Iterator[SecretStr]:
        """The secret keys and session tokens by which requests are signed."""
        for credentials in {self._own, self._acting}:
            # What renews itself would do so, over the network, if it were asked for them in public.
            hidden = "_" if isinstance(credentials, RefreshableCredentials) else ""
            values = (getattr(credentials, f"{hidden}{name}") for name in ("secret_key", "token"))
            yield from (SecretStr(value) for value in values if value)

    @property
    def acting_as(self) -> str:
        """The ARN that rotator acts as. Asked for once: a session's principal never changes.

        Raises:
            CallFailed: AWS could not be asked, or refused.
        """
        with self._asking:
            return self._acting_as

    @property
    def came_as(self) -> str:
        """The ARN of the identity that assumed the role, or `acting_as` without a role.

        Raises:
            CallFailed: as `acting_as`.
        """
        if self._own is self._acting:
            return self.acting_as
        with self._asking:
            return self._came_as

    @cached_property
    def _acting_as(self) -> str:
        return self._whoami(self._acting.get_frozen_credentials)

    @cached_property
    def _came_as(self) -> str:
        return self._whoami(self._own.get_frozen_credentials)

    def is_user(self, principal: Arn, name: str) -> bool:
        """The principal is the IAM user of this name, whatever its path, in the account that rotator acts in.

        Raises:
            CallFailed: as `acting_as`.
        """
        acting_as = Arn.found_in(self.acting_as)
        return (
            acting_as is not None
            and principal.account == acting_as.account
            and principal.kind == "user"
            and principal.path.rpartition("/")[2].casefold() == name.casefold()
        )

    def is_own(self, name: str) -> bool:
        """The IAM user of this name is rotator's own identity, or the one that assumed its role.

        Raises:
            CallFailed: as `acting_as`.
        """
        principals = (Arn.found_in(arn) for arn in (self.acting_as, self.came_as))
        return any(principal is not None and self.is_user(principal, name) for principal in principals)

    def is_own_role(self, role: Arn) -> bool:
        """This role's session is rotator's own identity, or the one that assumed its role.

        Raises:
            CallFailed: as `acting_as`.
        """
        name = role.path.rpartition("/")[2].casefold()
        principals = (Arn.found_in(arn) for arn in (self.acting_as, self.came_as))
        return any(
            principal is not None
            and (principal.account, principal.kind) == (role.account, "assumed-role")
            and principal.path.partition("/")[0].casefold() == name
            for principal in principals
        )

    def whoami(self, access_key: str, secret_key: str) -> str:
        """The ARN of the principal that this key belongs to, by one use of the key in `region`.

        Raises:
            CallFailed: REFUSED with AWS's code: the key was used, and refused.
        """
        return self._whoami(lambda: Credentials(access_key, secret_key))

    def _whoami(self, credentials: Callable[[], Credentials | ReadOnlyCredentials]) -> str:
        # Signed here: a client for each candidate would cost 10 ms, and could not be given up again.
        def call() -> AwsAnswer:
            headers = {"Content-Type": "application/x-www-form-urlencoded; charset=utf-8", "User-Agent": USER_AGENT}
            request = AWSRequest("POST", self._sts_url, headers=headers, data=_WHOAMI)
            SigV4Auth(credentials(), "sts", self.region).add_auth(request)
            response = self._carrier.send(self._http, request.prepare())
            body = {"body": response.content, "headers": response.headers, "status_code": response.status_code}
            answer: dict[str, Any] = create_parser("query").parse(body, self._whoami_answer)
            if response.status_code >= HTTPStatus.MULTIPLE_CHOICES:
                raise ClientError(cast("Any", answer), "GetCallerIdentity")
            return answer

        return ask("GetCallerIdentity", call, lambda answer: str(answer["Arn"]))


def _has_form_of_a_region(session: Session, region: str) -> bool:
    """Some partition has regions of this form: AWS adds regions faster than the SDK learns of them."""
    partitions = session.get_component("data_loader").load_data("endpoints")["partitions"]
    return any(re.fullmatch(partition["regionRegex"], region) for partition in partitions)


def _is_of_aws(session: Session, url: str) -> bool:
    partitions = session.get_component("data_loader").load_data("endpoints")["partitions"]
    host = (urlsplit(url).hostname or "").rstrip(".")
    return host.endswith(tuple(f".{partition['dnsSuffix']}" for partition in partitions))


@dataclass(frozen=True, slots=True)
class _Way:
    access: AwsAccess
    http: HttpClients
    deadline: timedelta
    clock: Clock = field(compare=False)

    def carrier(self) -> Carrier:
        return Carrier(self.http, self.deadline, self.access.deadline, self.clock)


# A session costs 120 ms and 10 MB, and a client 10 ms.
_clients = Shared[_Way, AwsClients](lambda way: AwsClients(way.access, way.carrier()), lambda made: made.files)


def clients_for(access: AwsAccess, tools: Tools) -> AwsClients:
    """The clients of this way into AWS, one set for all credentials that use it.

    Raises:
        RotatorError: as AwsClients.
    """
    quieten(LEAKING_LOGGERS)
    return _clients.of(_Way(access, tools.http, tools.deadline, tools.clock))
