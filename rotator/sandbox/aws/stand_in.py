"""The AWS stand-in: IAM and STS for one account, with real signatures, key states, policies, limits and delays.

There is a second account, as Northflank's is: what is in it can assume roles of the first one, and do nothing else.
moto keeps the state and speaks the wire format; who may do what, and when a key or a trust policy begins to work, is
decided in front of it. Beside moto's actions there is iam:SimulatePrincipalPolicy.
"""

from __future__ import annotations

import re
from collections import defaultdict, deque
from collections.abc import Callable, Iterable, Mapping
from contextlib import ExitStack
from datetime import datetime, timedelta
from io import BytesIO
from uuid import uuid4
from wsgiref.types import StartResponse, WSGIEnvironment
from xml.sax.saxutils import escape

from botocore.auth import SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials
from werkzeug.datastructures import MultiDict
from werkzeug.exceptions import BadRequestKeyError
from werkzeug.test import Client
from werkzeug.wrappers import Request, Response

from rotator.material import Material
from rotator.model import Key, LastUse
from rotator.sandbox.aws.account import MOTO, Holder, MotoAccount
from rotator.sandbox.aws.auth import AwsRefusal, IamPolicy, Signed, allows, signed, trusts, verify
from rotator.sandbox.aws.roles import Propagation, checked, external_ids
from rotator.sandbox.wire.faults import Faults
from rotator.sandbox.wire.serving import Served, Server

_ADMIN = "rotator"
_LEAST = ("CreateAccessKey", "ListAccessKeys", "UpdateAccessKey", "DeleteAccessKey", "GetAccessKeyLastUsed")
_NAMESPACE = "https://iam.amazonaws.com/doc/2010-05-08/"

Form = MultiDict[str, str]


class AwsStandIn(Served):
    """One AWS account on loopback, served between entering and leaving its `with` block.

    It starts with the IAM user `rotator`, which may do to the users made by `add_user` what the provider needs, and no
    more. The methods below go around the fault plan, and aren't counted in it.

    Args:
        port: a fixed port, or 0 for a free one.

    Attributes:
        account: its twelve digits.
        admin: the key of the user `rotator`.
        denied: actions, like `iam:CreateAccessKey`, that are refused whatever the policies say.
        propagation: how long a key that was made over the wire is unknown to AWS, and a role's trust policy that was
            changed over the wire is not gone by.
        last_used_lag: how late GetAccessKeyLastUsed reports a use.
        secrets: every secret that it ever gave out, and every external id, to be searched for where none may be.
        faults: what goes wrong, and what was asked.
        server: where it listens, and what time it is there: for signatures, the Date header and the above.
        signing_clock: what signatures are compared with instead, where the server's clock is moved and the callers'
            can't be: the SDK signs by the clock of its machine.
    """

    def __init__(self, *, port: int = 0) -> None:
        self.denied: set[str] = set()
        self.propagation = timedelta(0)
        self.last_used_lag = timedelta(0)
        self._moto = MotoAccount()
        self._elsewhere = MotoAccount()
        self._trusted = Propagation()
        self._granted: list[IamPolicy] = []
        self._known_from: dict[str, datetime] = {}
        self._uses: defaultdict[str, deque[LastUse]] = defaultdict(deque)
        self.account = self._moto.id
        self.secrets = self._moto.secrets
        self.faults = Faults(self._respond)
        self.server = Server(self.faults, port=port)
        ended = ExitStack()
        ended.callback(self._close)
        self.serving = (ended, self.server)
        self.signing_clock: Callable[[], datetime] = self._now
        with MOTO:
            self._moto.add_user(_ADMIN, "/")
        self.admin = self.create_key(_ADMIN)

    @property
    def endpoints(self) -> Mapping[str, str]:
        """What the config's `aws` section needs to come here."""
        return {"iam_endpoint": self.server.url, "sts_endpoint": self.server.url}

    @property
    def environment(self) -> Mapping[str, str]:
        """What the SDK needs in its environment to act as the user `rotator`. It holds that user's secret."""
        admin = self.admin.reveal()
        return {
            "AWS_ACCESS_KEY_ID": admin["accessKey"],
            "AWS_SECRET_ACCESS_KEY": admin["secretKey"],
            "AWS_EC2_METADATA_DISABLED": "true",
        }

    def add_user(self, name: str, *, path: str = "/") -> None:
        """Create an IAM user, and let rotator's own rotate its keys."""
        with MOTO:
            self._moto.add_user(name, path)
            self.grant(*(f"iam:{action}" for action in _LEAST), on=self._moto.user_arn(name))

    def delete_user(self, name: str) -> None:
        """Delete an IAM user and its keys."""
        with MOTO:
            self._moto.delete_user(name)

    def grant(self, *actions: str, on: str = "*") -> None:
        """Let rotator's own user do more."""
        with MOTO:
            self._granted.append({"Effect": "Allow", "Action": list(actions), "Resource": on})
            self._moto.allow(_ADMIN, {"Version": "2012-10-17", "Statement": self._granted})

    def revoke(self) -> None:
        """Take all that it may do from rotator's own user."""
        with MOTO:
            self._granted.clear()
            self._moto.deny(_ADMIN)

    def add_role(self, name: str, *, trust: IamPolicy, policy: IamPolicy, path: str = "/") -> str:
        """Create a role. Returns its ARN."""
        with MOTO:
            self.secrets.update(external_ids(trust))
            return self._moto.add_role(name, trust, policy, self._now(), path)

    def delete_role(self, arn: str) -> None:
        """Delete a role."""
        with MOTO:
            self._moto.delete_role(arn)

    def role_created(self, arn: str) -> datetime:
        """When a role was made."""
        with MOTO:
            return self._moto.created(arn)

    def trust(self, arn: str) -> IamPolicy:
        """A role's trust policy, as it was written last."""
        with MOTO:
            trust = self._moto.trust(arn)
        if trust is None:
            raise LookupError(arn)
        return trust

    def set_trust(self, arn: str, trust: IamPolicy) -> None:
        """Replace a role's trust policy as an operator would; AWS goes by it at once."""
        with MOTO:
            self.secrets.update(external_ids(trust))
            self._moto.set_trust(arn, trust)
            self._trusted.ends(arn)

    def add_outsider(self, name: str) -> tuple[str, Material]:
        """Create a user of another account, who may assume every role that lets it. Returns that account and a key."""
        may = {"Effect": "Allow", "Action": "sts:AssumeRole", "Resource": "*"}
        with MOTO:
            self._elsewhere.add_user(name, "/")
            self._elsewhere.allow(name, {"Version": "2012-10-17", "Statement": may})
            return self._elsewhere.id, self._elsewhere.create_key(name, self._now())

    def create_key(self, user: str) -> Material:
        """Create a key as an operator would; it works at once."""
        with MOTO:
            return self._moto.create_key(user, self._now())

    def keys(self, user: str) -> tuple[Key, ...]:
        """The user's keys, as AWS lists them."""
        with MOTO:
            return self._moto.keys(user)

    def works(self, material: Material, *, region: str = "us-east-1") -> bool:
        """Use a key as a consumer would, by GetCallerIdentity in this region, and return whether AWS answered."""
        key = material.reveal()
        request = AWSRequest(
            "POST",
            self.server.url,
            headers={"Content-Type": "application/x-www-form-urlencoded"},
            data=b"Action=GetCallerIdentity&Version=2011-06-15",
        )
        SigV4Auth(Credentials(key["accessKey"], key["secretKey"]), "sts", region).add_auth(request)
        answer = Client(self._respond).post(
            "/", base_url=self.server.url, headers=dict(request.headers), data=request.data
        )
        return answer.status_code == 200  # noqa: PLR2004  # HTTP: OK

    def _close(self) -> None:
        with MOTO:
            self._moto.close()
            self._elsewhere.close()

    def _now(self) -> datetime:
        return self.server.clock()

    def _respond(self, environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        request = Request(environ)
        body = request.get_data()
        with MOTO:
            try:
                answer = self._authorised(request)
                if answer is None:
                    environ["wsgi.input"] = BytesIO(body)
                    answer = self._carry_out(environ)
            except AwsRefusal as refusal:
                answer = _error(refusal)
            except BadRequestKeyError as missing:
                answer = _error(AwsRefusal("ValidationError", f"{missing.args[0]} is missing", 400))
        return answer(environ, start_response)

    def _authorised(self, request: Request) -> Response | None:
        claim = signed(request)
        holder = self._authenticated(request, claim)
        action, form = f"{claim.service}:{request.form.get('Action')}", request.form
        if action in self.denied or not self._allowed(holder, action, form):
            resource = self._resource(form, holder)
            raise AwsRefusal(
                "AccessDenied",
                f"User: {holder.arn} is not authorized to perform: {action} on resource: {resource} because no "
                f"identity-based policy allows the {action} action",
            )
        if claim.service not in {"iam", "sts"}:
            raise _unknown_action()
        self._uses[claim.key_id].append(LastUse(self._now(), claim.service, claim.region))
        self._forget_uses(self._uses[claim.key_id])
        if action == "iam:GetAccessKeyLastUsed":
            self._show_last_use(form["AccessKeyId"])
        elif action == "iam:UpdateAssumeRolePolicy":
            self._expect_trust(form)
        elif action == "sts:AssumeRole":
            self._moto.forget_sessions()
        return self._simulated(form) if action == "iam:SimulatePrincipalPolicy" else None

    def _authenticated(self, request: Request, claim: Signed) -> Holder:
        holder = self._moto.holder(claim.key_id) or self._elsewhere.holder(claim.key_id)
        token = request.headers.get("X-Amz-Security-Token")
        now = self._now()
        if (
            holder is None
            or not holder.enabled
            or token != (holder.token and holder.token.get_secret_value())
            or now < self._known_from.get(claim.key_id, now)
        ):
            raise AwsRefusal("InvalidClientTokenId", "The security token included in the request is invalid.")
        verify(request, claim, holder.secret.get_secret_value(), self.signing_clock())
        return holder

    def _allowed(self, holder: Holder, action: str, form: Form) -> bool:
        if action == "sts:GetCallerIdentity":
            return True
        by_policy = allows(holder.policies, action, self._resource(form, holder))
        if action != "sts:AssumeRole":
            return by_policy
        role_arn = form["RoleArn"]
        trust = self._moto.trust(role_arn)
        if trust is None:
            return False
        in_force = self._trusted.in_force(role_arn, trust, self._now())
        trusted = trusts(in_force, holder.arn, holder.account, form.get("ExternalId"))
        # From another account the user's own policy must allow it too, however it was let in.
        by_name = trusted == "by name" and holder.account == self.account
        return by_name or (trusted is not None and by_policy)

    def _resource(self, form: Form, holder: Holder) -> str:
        for field, arn in (
            ("UserName", self._moto.user_arn),
            ("AccessKeyId", self._moto.owner_arn),
            ("PolicySourceArn", str),
            ("RoleArn", str),
            ("RoleName", self._moto.role_arn),
        ):
            if field in form:
                return arn(form[field])
        return holder.arn

    def _expect_trust(self, form: Form) -> None:
        """Look at a new trust policy before moto has it, and remember the one before it for as long as STS does."""
        role_arn = self._moto.role_arn(form["RoleName"])
        before = self._moto.trust(role_arn)
        if before is None:
            return
        self.secrets.update(external_ids(checked(form["PolicyDocument"])))
        if self.propagation:
            self._trusted.begins(role_arn, before, self._now() + self.propagation)

    def _carry_out(self, environ: WSGIEnvironment) -> Response:
        known = self._moto.key_ids()
        try:
            answer = self._moto.answer(environ)
        except (ImportError, NotImplementedError):
            raise _unknown_action() from None
        for key_id in self._moto.key_ids() - known:
            now = self._now()
            if self.propagation:
                self._known_from[key_id] = now + self.propagation
            self._moto.set_created(key_id, now)
            answer.set_data(re.sub(rb"(?<=<CreateDate>)[^<]+", f"{now:%Y-%m-%dT%H:%M:%SZ}".encode(), answer.get_data()))
        return answer

    def _forget_uses(self, uses: deque[LastUse]) -> None:
        # Of those that are reported already, only the last one counts. A sandbox may run for weeks.
        while len(uses) > 1 and self._is_told(uses[1]):
            uses.popleft()

    def _is_told(self, use: LastUse) -> bool:
        return use.at <= self._now() - self.last_used_lag

    def _show_last_use(self, key_id: str) -> None:
        uses = self._uses[key_id]
        self._forget_uses(uses)
        self._moto.set_last_use(key_id, uses[0] if uses and self._is_told(uses[0]) else None)

    def _simulated(self, form: Form) -> Response:
        source = form["PolicySourceArn"]
        policies = self._moto.policies_of(source)
        if policies is None:
            raise AwsRefusal("NoSuchEntity", f"The entity {source} cannot be found.", 404)
        resource = form["ResourceArns.member.1"]
        results = "".join(
            f"<member><EvalActionName>{escape(action)}</EvalActionName><EvalResourceName>{escape(resource)}"
            f"</EvalResourceName><EvalDecision>{decision}</EvalDecision></member>"
            for field, action in form.items()
            if field.startswith("ActionNames.member.")
            for decision in ("allowed" if allows(policies, action, resource) else "implicitDeny",)
        )
        return _xml(
            "SimulatePrincipalPolicyResponse",
            "<SimulatePrincipalPolicyResult><IsTruncated>false</IsTruncated>"
            f"<EvaluationResults>{results}</EvaluationResults></SimulatePrincipalPolicyResult>"
            f"<ResponseMetadata><RequestId>{uuid4()}</RequestId></ResponseMetadata>",
        )


def _unknown_action() -> AwsRefusal:
    return AwsRefusal("InvalidAction", "The stand-in doesn't know this action.", 400)


def _error(refusal: AwsRefusal) -> Response:
    said = f"<Type>Sender</Type><Code>{refusal.code}</Code><Message>{escape(refusal.message)}</Message>"
    return _xml("ErrorResponse", f"<Error>{said}</Error><RequestId>{uuid4()}</RequestId>", refusal.status)


def _xml(element: str, content: str, status: int = 200) -> Response:
    body = f'<{element} xmlns="{_NAMESPACE}">{content}</{element}>'
    return Response(body, status, content_type="text/xml")
