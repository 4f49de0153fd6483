"""What rotator needs in a cluster for one service account, and whether it has it. Changes nothing."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from lightkube.core.client import Client
from lightkube.models.authorization_v1 import ResourceAttributes, SelfSubjectAccessReviewSpec
from lightkube.resources.authorization_v1 import SelfSubjectAccessReview

from rotator.errors import CallFailed
from rotator.providers._shared import APART, tried, unmet
from rotator.providers.base import Right
from rotator.providers.byok.access import Access
from rotator.providers.byok.api import Api
from rotator.providers.byok.kubeconfig import ClusterAddress
from rotator.providers.byok.own import OwnAccount

_GRANT = "`rotator policy NAME` prints the Role."


@dataclass(frozen=True, slots=True)
class _Need:
    verb: str
    resource: str
    named: bool = False  # for this account alone


_ALWAYS = (
    _Need("get", "serviceaccounts", named=True),
    *(_Need(verb, "secrets") for verb in ("create", "list", "delete")),
)
_NEEDS = {
    True: (*_ALWAYS, _Need("patch", "secrets"), _Need("create", "serviceaccounts/token", named=True)),
    False: (*_ALWAYS, _Need("get", "secrets")),
}
"""By whether the tokens are bound."""


def rights(api: Api, access: Access, target: ClusterAddress, own: OwnAccount, *, bound: bool) -> Iterator[Right]:
    """The lines of `rotator check`; they end early where the cluster doesn't know us."""
    yield Right(f"the cluster at {access.server}, from {access.origin}; Northflank uses {target.server}", holds=True)
    known = "the cluster knows rotator"
    try:
        who = own.username
    except CallFailed as failure:
        yield unmet(known, failure)
        return
    yield Right(f"{known}, as {who}", holds=True)
    yield tried(APART, lambda: own.differs_from(target.username))
    for need in _NEEDS[bound]:
        yield _judged(api, target, need)


def _judged(api: Api, target: ClusterAddress, need: _Need) -> Right:
    resource, _, subresource = need.resource.partition("/")
    wanted = ResourceAttributes(
        namespace=target.namespace,
        verb=need.verb,
        resource=resource,
        subresource=subresource or None,
        name=target.account if need.named else None,
    )

    def ask(client: Client) -> bool:
        review = SelfSubjectAccessReview(spec=SelfSubjectAccessReviewSpec(resourceAttributes=wanted))
        status = client.create(review).status
        if status is None:
            raise ValueError("the answer has no verdict")
        return status.allowed

    name = f"{need.verb} {need.resource} in {target.namespace}"
    try:
        allowed = api.patiently(lambda visit: visit.ask("create selfsubjectaccessreviews", ask))
    except CallFailed as failure:
        return Right(name, None, f"{failure.message}. {failure.remedy}".strip())
    return Right(name, allowed, "" if allowed else _GRANT)
