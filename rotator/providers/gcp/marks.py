"""The marks of uploaded keys: the public key of each, which no list shows and GetServiceAccountKey does."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping

from grpc import StatusCode

from rotator.errors import CallFailed, Verdict
from rotator.providers.gcp.errors import PERMISSION_DENIED
from rotator.providers.gcp.keys import mark_of

_OF_THE_KEY = frozenset(
    code.name
    for code in (
        StatusCode.NOT_FOUND,  # List shows it, and Get doesn't know it yet, or any more
        StatusCode.INVALID_ARGUMENT,
        StatusCode.FAILED_PRECONDITION,
        StatusCode.OUT_OF_RANGE,
        StatusCode.INTERNAL,  # Google can't make the answer, or the SDK can't parse it: gRPC says the same of both
        StatusCode.DATA_LOSS,
    )
)
"""What says something of one key alone."""


class Marks:
    """What is known of the marks of one account's keys. Each is asked for once: a public key never changes."""

    def __init__(self) -> None:
        self._known: Mapping[str, str] = {}

    def of(self, key_ids: Iterable[str], public_key: Callable[[str], bytes]) -> Mapping[str, str]:
        """The mark of each of these keys, without those that Google doesn't show: they are asked for again next time.

        Args:
            key_ids: the keys that the list shows.
            public_key: asks for one key's public key, in PEM.

        Raises:
            CallFailed: no answer came; or rotator may read none of them. Google says PERMISSION_DENIED also of what is
                absent (https://cloud.google.com/iam/docs/permission-error-messages): beside a key that it shows, such
                an answer is about the one key.
        """
        known: dict[str, str] = {}
        denied = None
        for key_id in key_ids:
            try:
                known[key_id] = self._known.get(key_id) or mark_of(public_key(key_id))
            except ValueError:
                continue
            except CallFailed as failure:
                if failure.code == PERMISSION_DENIED and failure.verdict is Verdict.REFUSED:
                    denied = failure
                elif failure.code not in _OF_THE_KEY:
                    raise
        if denied is not None and not known:
            raise denied
        self._known = known
        return known
