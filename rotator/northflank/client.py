"""One connection of the config, and the calls of Northflank's API that rotator makes through it."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from datetime import timedelta
from http import HTTPStatus
from typing import Literal, TypeGuard, TypeVar
from urllib.parse import quote, urlencode

import httpx
from pydantic import SecretStr

from rotator import __version__
from rotator.clock import Clock
from rotator.errors import CallFailed, RotatorError, Verdict
from rotator.http.answers import Answer, NoAnswer, date_of
from rotator.http.calls import never_sent
from rotator.http.exchange import Span, exchange
from rotator.http.gate import gate_of, gated, unbelievable
from rotator.material import Material
from rotator.model import Reply
from rotator.northflank.answers import Item, TokenInfo, data, failure, item, page, token_info
from rotator.northflank.budget import Budget, RateLimits
from rotator.northflank.dependents import Pair, clusters_of, workload_identity_of
from rotator.northflank.poll import SharedPoll

Shown = TypeVar("Shown")

_PER_PAGE = 100  # Northflank's largest page
_PAGES = 200  # a list that is longer has no end


@dataclass(frozen=True, slots=True)
class _Call:
    """One request as it is meant: `what` names it in messages, an urgent one may use the rate limit's reserve."""

    what: str
    url: str
    method: str = "GET"
    urgent: bool = True
    material: Material | None = None
    description: str | None = None

    def content(self) -> bytes | None:
        """The body: the complete credential set, and the description unless that stays as it is."""
        if self.material is None:
            return None
        body: dict[str, object] = {"credentials": self.material.reveal()}
        if self.description is not None:
            body["description"] = self.description
        return json.dumps(body).encode()


class Connection:
    """An API, a token, perhaps a team. Thread-safe.

    Args:
        http: shared by the whole process. Its own redirects, authentication, cookies and timeouts are not used.
        api_url: without a slash at its end.
        token: called at each request; may raise RotatorError.
        team: the team's id, for a token of an organisation.
        method: how integrations are updated. `auto` is POST, as documented, until the API takes only the PATCH that
            newer clients send: a 405, or a 404 although a GET finds the integration, means that nothing was done.
        deadline: for one operation, from name resolution to the last byte; in a list, for one page.
        clock: both its clocks are used.
        limits: shared by the whole process.
    """

    def __init__(
        self,
        *,
        http: httpx.Client,
        api_url: str,
        token: Callable[[], SecretStr],
        team: str | None,
        method: Literal["auto", "post", "patch"],
        deadline: timedelta,
        clock: Clock,
        limits: RateLimits,
    ) -> None:
        self.clock = clock
        self.poll = SharedPoll(self.list_integrations, clock)
        self._http = http
        self._gate = gate_of(http)
        self._api = f"{api_url}/v1"
        scope = "" if team is None else f"/teams/{quote(team, safe='')}"
        self._clouds = f"{self._api}{scope}/cloud-providers"
        self._token = token
        self._methods: tuple[str, ...] = ("POST", "PATCH") if method == "auto" else (method.upper(),)
        self._deadline = deadline
        self._limits = limits

    def set_aside(self, integration: str, calls: int) -> bool:
        """Set so many calls aside for a push to the integration. False if the rate limit does not leave them."""
        budget = self._budget()
        return budget is None or budget.set_aside(f"{self._clouds} {integration}", calls)

    def release(self, integration: str) -> None:
        """Set nothing aside for it any more."""
        budget = self._budget()
        if budget is not None:
            budget.release(f"{self._clouds} {integration}")

    def _budget(self) -> Budget | None:
        """Of the present token; None if it can't be read: the next call says so."""
        try:
            return self._limits.of(SecretStr(self._token().get_secret_value().strip()))
        except RotatorError:
            return None

    def integration(self, integration: str, *, urgent: bool) -> Item:
        """Read one integration.

        Raises:
            CallFailed: REFUSED and permanent where asking again won't help.
        """
        what = f"reading integration {integration}"

        def read() -> Item:
            found = shown(self._integration(integration, self._span(), urgent=urgent))
            if self._repeats(found):
                raise unbelievable(what)
            return found

        return gated(self._gate, what, read)

    def list_integrations(self) -> tuple[Item, ...]:
        """All integrations; their credentials are in no list, nor is one whose words repeat a secret.

        Raises:
            CallFailed: a page could not be read.
        """

        def read() -> tuple[Item, ...]:
            listed = self._list(f"{self._clouds}/integrations", "integrations", urgent=False)
            found = tuple(each for each in map(item, listed) if each is not None)
            return tuple(each for each in found if not self._repeats(each)) if self._repeats(*found) else found

        return gated(self._gate, "reading the list of integrations", read)

    def update(self, integration: str, material: Material, description: str | None) -> Reply:
        """Replace an integration's credentials and, unless it is None, its description, in one request.

        Raises:
            CallFailed: with a verdict that is true whatever happened on the way.
        """
        self._gate.remember_key(material)
        what = f"the update of integration {integration}"
        reply = gated(self._gate, what, lambda: shown(self._update(integration, material, description)))
        return Reply(None) if self._gate.repeats(reply.request_id) else reply

    def clusters_of(self, integration: str) -> tuple[Pair, ...]:
        """The integration's clusters, and the state of each. Raises CallFailed."""
        what = "reading the list of clusters"
        url = f"{self._clouds}/clusters"
        return self._pairs(what, lambda: clusters_of(integration, self._list(url, "clusters", urgent=True)))

    def workload_identity_of(self, integration: str) -> tuple[Pair, ...]:
        """The integration's workload identity provider, and its state. Raises CallFailed."""
        what = f"reading the workload identity provider of {integration}"
        call = _Call(what, f"{self._url(integration)}/workload-identity-provider")
        return self._pairs(what, lambda: workload_identity_of(integration, shown(self._data(call, self._span()))))

    def introspect(self) -> TokenInfo:
        """Whose the token is, until when, and what it may do. Raises CallFailed."""
        call = _Call("asking Northflank about the token", f"{self._api}/auth")
        return gated(self._gate, call.what, lambda: token_info(shown(self._data(call, self._span()))))

    def _pairs(self, what: str, read: Callable[[], tuple[Pair, ...]]) -> tuple[Pair, ...]:
        def believed() -> tuple[Pair, ...]:
            pairs = read()
            if self._gate.repeats(*(word for pair in pairs for word in pair)):
                raise unbelievable(what)
            return tuple((name, state.lower()) for name, state in pairs)

        return gated(self._gate, what, believed)

    def _repeats(self, *items: Item) -> bool:
        """The words of one of them repeat a secret."""
        return self._gate.repeats(*(word for each in items for word in each.words()))

    def _update(self, integration: str, material: Material, description: str | None) -> Reply | CallFailed:
        span = self._span()
        method, *others = self._methods
        what = f"the update of integration {integration}"
        call = _Call(what, self._url(integration), method, material=material, description=description)
        answer = self._ask(call, span)
        for other in others:
            if not _method_refused(answer):
                break
            if answer.code == "404":  # the integration's or the method's?
                found = self._integration(integration, span, urgent=True)
                if isinstance(found, CallFailed):
                    return never_sent(found)  # a method was refused, and the other not tried
            answer = self._ask(replace(call, method=other), span)
            if not _method_refused(answer):
                self._methods = (other, method)
        if isinstance(answer, CallFailed):
            return answer
        updated = self._same(answer, call, integration)
        return updated if isinstance(updated, CallFailed) else Reply(answer.request_id)

    def _integration(self, integration: str, span: Span, *, urgent: bool) -> Item | CallFailed:
        call = _Call(f"reading integration {integration}", self._url(integration), urgent=urgent)
        answer = self._ask(call, span)
        return answer if isinstance(answer, CallFailed) else self._same(answer, call, integration)

    def _same(self, answer: Answer, call: _Call, integration: str) -> Item | CallFailed:
        """The integration that an answer shows, if it is the one that was asked for."""
        seen = item(data(answer))
        if seen is None:
            return failure(answer, what=call.what)
        if seen.id != integration:
            return CallFailed(
                f"{call.what}: the answer is about another integration, {seen.id}",
                verdict=Verdict.UNKNOWN,
                code=str(answer.status),
                request_id=answer.request_id,
                remedy="Check for a cache or a proxy between rotator and Northflank that mixes up answers.",
            )
        return replace(seen, at=date_of(answer))

    def _data(self, call: _Call, span: Span) -> Mapping[str, object] | CallFailed:
        answer = self._ask(call, span)
        if isinstance(answer, CallFailed):
            return answer
        found = data(answer)
        return failure(answer, what=call.what) if found is None else found

    def _list(self, url: str, name: str, *, urgent: bool) -> tuple[object, ...]:
        found: list[object] = []
        query = {"per_page": str(_PER_PAGE)}
        for number in range(2, _PAGES + 2):
            call = _Call(f"reading the list of {name}", f"{url}?{urlencode(query)}", urgent=urgent)
            answer = shown(self._ask(call, self._span()))
            part = page(answer, name)
            if part is None:
                raise failure(answer, what=call.what)
            found += part.values
            if not part.more:
                return tuple(found)
            place = {"page": str(number)} if part.cursor is None else {"cursor": part.cursor}
            query, last = {"per_page": str(_PER_PAGE), **place}, query
            if query == last:
                break
        raise CallFailed(f"reading the list of {name}: the list does not end", verdict=Verdict.UNKNOWN, code="pages")

    def _ask(self, call: _Call, span: Span) -> Answer | CallFailed:
        """Send one request. What isn't a 200 is a failure."""
        try:
            token = self._token().get_secret_value().strip()
        except RotatorError as error:
            return _no_token(call, error.message, error.remedy)
        if not (token and token.isascii() and token.isprintable()):
            return _no_token(
                call,
                "the token is empty or is not one line of printable ASCII",
                "Put the token where the connection's `token` says.",
            )
        budget = self._limits.of(SecretStr(token))
        wait = budget.admit(urgent=call.urgent)
        if wait is not None:
            return CallFailed(
                f"{call.what} was not sent: the rate limit does not allow it before its reset",
                verdict=Verdict.NOT_APPLIED,
                code="rate-limit",
                retry_after=wait,
            )
        result: Answer | NoAnswer = NoAnswer("the exchange broke", sent=True)
        try:
            result = self._exchange(call, token, span)
        finally:
            budget.finished(result)
        if isinstance(result, Answer) and result.status == HTTPStatus.OK:
            return result
        return failure(result, what=call.what)

    def _exchange(self, call: _Call, token: str, span: Span) -> Answer | NoAnswer:
        content = call.content()
        headers = {
            "Authorization": f"Bearer {token}",
            "Accept": "application/json",
            "User-Agent": f"rotator/{__version__}",
        }
        if content is not None:
            headers["Content-Type"] = "application/json"
        return exchange(self._http, call.method, call.url, headers=headers, content=content, span=span)

    def _url(self, integration: str) -> str:
        return f"{self._clouds}/integrations/{quote(integration, safe='')}"

    def _span(self) -> Span:
        return Span(self.clock, self._deadline)


def _method_refused(answer: Answer | CallFailed) -> TypeGuard[CallFailed]:
    """Nothing was done, perhaps only because the API knows no such method on an integration."""
    return isinstance(answer, CallFailed) and answer.verdict is Verdict.REFUSED and answer.code in {"404", "405"}


def shown(value: Shown | CallFailed) -> Shown:
    """The value; raises it where it is a failure."""
    if isinstance(value, CallFailed):
        raise value
    return value


def _no_token(call: _Call, reason: str, remedy: str) -> CallFailed:
    return CallFailed(f"{call.what} was not sent: {reason}", verdict=Verdict.NOT_APPLIED, code="token", remedy=remedy)
