"""OCI: the API signing keys of one user.

Facts from the Identity service's API reference: three keys a user; a key is called by its fingerprint, which is known
before it is uploaded; a key can't be disabled, has no end, and OCI does not report when it was last used. Keys are
changed in the tenancy's home region, and are known elsewhere some seconds to minutes later.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime
from secrets import token_urlsafe
from typing import TypeVar

from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey
from pydantic import SecretStr

from rotator.errors import CallFailed, RotatorError, Verdict
from rotator.http.answers import Answer, date_of, json_object
from rotator.material import Material
from rotator.model import ByHand, Key, Proof, Reply
from rotator.providers._shared import own_identity
from rotator.providers.base import AGES_AGO, Abilities, Draft, Listing, Minted, Right, Tools
from rotator.providers.oci import keys as oci_keys
from rotator.providers.oci.answers import (
    CLOCK_SKEW,
    NOT_AUTHENTICATED,
    NOT_AUTHORIZED,
    OCI,
    listed,
)
from rotator.providers.oci.api import IdentityApi, endpoint
from rotator.providers.oci.check import rights
from rotator.providers.oci.identity import OwnProfile
from rotator.providers.oci.settings import OciSection, OciSettings
from rotator.providers.oci.signing import Signer

Value = TypeVar("Value")

_LIST = "ListApiKeys"
_PASSPHRASE_BYTES = 24
PROOFS: Mapping[str, Proof] = {
    "NotAuthorized": Proof.ALIVE,
    "NotAuthorizedOrNotFound": Proof.ALIVE,
    NOT_AUTHENTICATED: Proof.NOT_YET,
    CLOCK_SKEW: Proof.CLOCK,
}
"""What OCI's answer to a use of the candidate says about it, by its code. The page says why, code by code."""

_GONE = frozenset({"DELETING", "DELETED"})
_DISABLED = "INACTIVE"


def open_provider(settings: OciSettings, tools: Tools) -> OciUser:
    """The provider for one user. No call is made, and rotator's own key isn't read yet.

    Args:
        settings: whose keys, how they are made, and how OCI is reached.
        tools: the deadline, the clock and the HTTP clients are used.

    Raises:
        RotatorError: the CA file can't be used, or the realm isn't known.
    """
    section = settings.oci
    http = tools.http.trusting(section.ca_file)

    def identity_in(region: str) -> IdentityApi:
        url = section.endpoint or endpoint(region, section.tenancy)
        return IdentityApi(http, url, tools.deadline, tools.clock)

    home, there = identity_in(section.home_region or section.region), identity_in(section.region)
    return OciUser(section, OwnProfile(section.admin), home, there)


def _fresh(section: OciSection) -> Material:
    """A key pair that is made here, complete, as Northflank wants it."""
    private = oci_keys.generate()
    passphrase = SecretStr(token_urlsafe(_PASSPHRASE_BYTES)) if section.passphrase else None
    public = {
        "region": section.region,
        "tenancyId": section.tenancy,
        "userId": section.user,
        "fingerprint": oci_keys.fingerprint(private.public_key()),
        "compartmentId": section.compartment,
    }
    secret = {"privateKey": oci_keys.private_pem(private, section.pem, passphrase)}
    return Material(public=public, secret=secret if passphrase is None else {**secret, "passphrase": passphrase})


class OciUser:
    """The API keys of one user. Implements `base.Provider`.

    Args:
        section: whose keys, and how they are made.
        own: who rotator is.
        home: the Identity service where keys are changed.
        there: the one where the integration works, and where candidates are proved.
    """

    def __init__(self, section: OciSection, own: OwnProfile, home: IdentityApi, there: IdentityApi) -> None:
        self._section = section
        self._own = own
        self._home = home
        self._there = there
        self._user = ("users", section.user)
        self._api_keys = (*self._user, "apiKeys")

    @property
    def abilities(self) -> Abilities:
        """Three slots. The fingerprint is the mark. A key can't be disabled, and its use isn't recorded."""
        return Abilities(
            slots=3,
            exact=True,
            proves=self,
            by_hand=ByHand(delete=f"oci iam user api-key delete --user-id {self._section.user} --fingerprint {{key}}"),
            own_secrets=self._own.secrets,
            files=self._files,
        )

    def _files(self) -> tuple[str, ...]:
        return () if self._section.ca_file is None else (self._section.ca_file,)

    @property
    def identity(self) -> str:
        """`oci:user/OCID`."""
        return f"oci:user/{self._section.user}"

    def list_keys(self) -> Listing:
        """ListApiKeys, all pages.

        Raises:
            CallFailed: also if rotator's own identity is this user: it would revoke its own key.
        """
        return _listing(self._home.read(_LIST, self.signer(), self._api_keys))

    def draft(self, store_id: str, generation: int) -> Draft:  # noqa: ARG002  # the fingerprint is the mark
        """Make the key pair. Its fingerprint is what OCI will call it."""
        material = _fresh(self._section)
        return Draft(material.public["fingerprint"], material)

    def mint(self, draft: Draft) -> Minted:
        """UploadApiKey: one attempt on the wire. Only the public half is sent."""
        what, material = "UploadApiKey", draft.material
        if material is None:
            raise ValueError("a key is drafted before it is minted")
        public = oci_keys.public_pem(_private_key(material).public_key())
        answer = self._home.once(
            what, self.signer(), "POST", self._api_keys, content={"key": public}, span=self._home.span()
        )
        key = _read(what, answer, lambda answer: _key(json_object(answer.body)))
        if key is None or key.key_id != draft.mark:
            raise OCI.unclear(what, answer)
        return Minted(key, material, _hint(key.key_id), OCI.request_id(answer))

    def prove(self, material: Material) -> Proof:
        """GetUser on itself, signed with the candidate, in the integration's region; not repeated.

        OCI says the same of a key that it doesn't know yet and of a wrong one: neither is given up before its time.
        """
        what, held = "GetUser", material.public
        signer = Signer(held["tenancyId"], held["userId"], held["fingerprint"], _private_key(material))
        try:
            answer = self._there.once(what, signer, "GET", self._user, span=self._there.span())
        except CallFailed as failure:
            if failure.verdict is not Verdict.REFUSED or failure.code not in PROOFS:
                raise
            return PROOFS[failure.code]
        user = json_object(answer.body)
        if user is None or user.get("id") != self._section.user:
            raise OCI.unclear(what, answer)
        return Proof.ALIVE

    def delete(self, key_id: str) -> Reply:
        """DeleteApiKey. That the key is gone already is success; that its user is gone is not."""
        signer, span = self.signer(), self._home.span()
        try:
            answer = self._home.once("DeleteApiKey", signer, "DELETE", (*self._api_keys, key_id), span=span)
        except CallFailed as failure:
            if failure.code not in NOT_AUTHORIZED:
                raise
            refusal = failure
        else:
            return Reply(OCI.request_id(answer))
        # One code for both. The list shows which: without the user it is refused in the same way, and raises.
        if any(key.key_id == key_id for key in _listing(self._home.pages(_LIST, signer, self._api_keys, span)).keys):
            raise refusal
        return Reply(refusal.request_id)

    def check(self) -> Sequence[Right]:
        """Tries what only reads. OCI has nothing that judges the rest without doing it."""
        return tuple(rights(self))

    @property
    def addresses(self) -> tuple[str, ...]:
        """Where the Identity service is looked for."""
        return tuple(dict.fromkeys((self._home.url, self._there.url)))

    @property
    def user(self) -> str:
        """The OCID of the user whose keys they are."""
        return self._section.user

    def signer(self) -> Signer:
        """Rotator's own.

        Raises:
            CallFailed: there is none, or it is the user's own.
        """
        try:
            signer = self._own.signer()
        except RotatorError as unusable:
            failure = CallFailed(
                unusable.message.rstrip("."),
                verdict=Verdict.REFUSED,
                code="NoIdentity",
                permanent=True,
                remedy=unusable.remedy,
            )
        else:
            if signer.user != self._section.user:
                return signer
            failure = own_identity(
                f"user {self._section.user}", "Give rotator a user of its own, with rights over this user's keys."
            )
        raise failure  # outside of the handler: what the reader held would hang on to it

    def look_up(self) -> Mapping[str, object]:
        """GetUser, in rotator's own name."""
        what = "GetUser"
        [answer] = self._home.read(what, self.signer(), self._user)
        user = json_object(answer.body)
        if user is None:
            raise OCI.unclear(what, answer)
        return user


def _read(what: str, answer: Answer, read: Callable[[Answer], Value]) -> Value:
    try:
        return read(answer)
    except (KeyError, TypeError, ValueError, AttributeError):
        failure = OCI.unclear(what, answer)
    raise failure  # outside of the handler: the original may quote the body


def _listing(answers: Sequence[Answer]) -> Listing:
    pages = [_read(_LIST, answer, _keys) for answer in answers]
    return Listing(tuple(key for page in pages for key in page), date_of(answers[-1]))


def _keys(answer: Answer) -> list[Key]:
    shown = listed(answer)
    if shown is None:
        raise TypeError("not a list")
    return [key for key in map(_key, shown) if key is not None]


def _key(body: object) -> Key | None:
    """A key as OCI shows it; None if it is as good as deleted, or has no id."""
    fingerprint = body.get("fingerprint") if isinstance(body, dict) else None
    if not isinstance(body, dict) or not isinstance(fingerprint, str) or not fingerprint:
        return None
    made_at, state = _time(body.get("timeCreated")), body.get("lifecycleState")
    dated, judged = made_at is not None, isinstance(state, str)
    if judged and state in _GONE:
        return None
    unread = [*([] if dated else ["the time of creation"]), *([] if judged else ["the state"])]
    return Key(
        fingerprint,
        made_at or AGES_AGO,
        enabled=state != _DISABLED,
        mark=fingerprint,
        odd=" and ".join(unread) or None,
    )


def _time(text: object) -> datetime | None:
    """In whole seconds, as the Date headers that it is compared with. None if it can't be read."""
    try:
        made_at = datetime.fromisoformat(text) if isinstance(text, str) else None
        return made_at.astimezone(UTC).replace(microsecond=0) if made_at is not None and made_at.tzinfo else None
    except (ValueError, OverflowError):
        return None


def _private_key(material: Material) -> RSAPrivateKey:
    return oci_keys.load(material.secret["privateKey"], material.secret.get("passphrase"), made_here=True)


def _hint(fingerprint: str) -> str:
    return f"{fingerprint[:5]}..{fingerprint[-5:]}"
