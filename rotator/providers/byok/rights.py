"""What a Kubernetes cluster must allow rotator, for one service account."""

from __future__ import annotations

from rotator.providers.byok.settings import ByokSettings


def rights(settings: ByokSettings) -> str:
    """A Role and its binding, for `kubectl apply -f -`."""
    namespace, account = settings.byok.namespace, settings.byok.service_account
    name = f"rotator-{account}"
    return f"""\
# The least that rotator needs for the service account {account} in the namespace {namespace}. For `kubectl apply -f -`.
# A new Secret's name isn't known beforehand, so RBAC can't limit `secrets` to some: these rights reach every
# Secret, and every account, of the namespace. Keep {account} in a namespace of its own.
apiVersion: rbac.authorization.k8s.io/v1
kind: Role
metadata:
  name: {name}
  namespace: {namespace}
rules:
  - apiGroups: [""]
    resources: [serviceaccounts]
    resourceNames: [{account}]
    verbs: [get]
{_RULES[settings.byok.token].format(account=account)}
---
apiVersion: rbac.authorization.k8s.io/v1
kind: RoleBinding
metadata:
  name: {name}
  namespace: {namespace}
roleRef:
  apiGroup: rbac.authorization.k8s.io
  kind: Role
  name: {name}
subjects:
  - kind: ServiceAccount # rotator's own: it must be another one than {account}
    name: rotator
    namespace: rotator
# No ClusterRole is needed: every cluster lets everybody ask who they are and what they may (system:basic-user).
"""


_RULES = {
    "bound": """\
  - apiGroups: [""]
    resources: [serviceaccounts/token]
    resourceNames: [{account}]
    verbs: [create]
  - apiGroups: [""]
    resources: [secrets]
    verbs: [create, list, patch, delete]""",
    "secret": """\
  - apiGroups: [""]
    resources: [secrets]
    verbs: [create, get, list, delete]""",
}
"""Beside looking at the account itself, by how its tokens are made."""
