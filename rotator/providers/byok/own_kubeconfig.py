"""rotator's own kubeconfig: one context of one file. What is in it is understood, or refused by its name.

Source of the fields: Kubernetes' `k8s.io/client-go/tools/clientcmd/api/v1` (Cluster, AuthInfo, Context).
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import msgspec
import yaml
from lightkube.config.kubeconfig import KubeConfig, SingleConfig
from lightkube.core.exceptions import ConfigError

from rotator.http.outside_text import outside_text
from rotator.settings.textfile import read_text

_HARMLESS = {"extensions", "disable-compression", "preferences", "namespace"}
_CLUSTER = {"server", "certificate-authority", "certificate-authority-data", "insecure-skip-tls-verify"}
_USER = {
    "token",
    "tokenFile",
    "client-certificate",
    "client-certificate-data",
    "client-key",
    "client-key-data",
}

_INSTEAD = {
    "proxy-url": "set HTTPS_PROXY for rotator instead",
    "tls-server-name": "name an address that the cluster's certificate is for",
    "as": "give rotator the rights itself",
    "as-uid": "give rotator the rights itself",
    "as-groups": "give rotator the rights itself",
    "as-user-extra": "give rotator the rights itself",
    "exec": "a log-in plug-in may ask a question; rotator needs a token or a certificate",
    "auth-provider": "a log-in plug-in may ask a question; rotator needs a token or a certificate",
    "username": "rotator needs a token or a certificate, not a password",
    "password": "rotator needs a token or a certificate, not a password",
}
"""What rotator doesn't do, and what to do in its place."""


def named_file(environ: Mapping[str, str] = os.environ) -> str | None:
    """The one file that KUBECONFIG names, if it is set.

    Raises:
        ConfigError: it names several. kubectl would merge them.
    """
    files = [file for file in environ.get("KUBECONFIG", "").split(os.pathsep) if file]
    if len(files) > 1:
        raise ConfigError(f"KUBECONFIG names {len(files)} files, and rotator reads one: name it in `kubeconfig`")
    return next(iter(files), None)


def chosen(file: str, context: str | None) -> SingleConfig:
    """The cluster and the user of this context, or of the current one.

    Raises:
        ConfigError: there is no such context, or it can't be used: the context, cluster or user is named.
        Unreadable: the file can't be read.
    """
    path = Path(file).expanduser()
    read = _yaml(file, read_text(path))
    name = context or read.get("current-context")
    if not isinstance(name, str) or not name:
        raise ConfigError(f"{file} has no current-context, and no context is chosen")
    said = _entry(file, read, "context", name, f"{file} has no context {name}")
    where = f"{file}, context {name}"
    _refuse_unknown(where, "context", name, said, {"cluster", "user"})
    cluster, user = _name(where, said, "cluster"), _name(where, said, "user")
    reduced: dict[str, Any] = {
        "current-context": name,
        "contexts": [{"name": name, "context": {"cluster": cluster, "user": user}}],
        "clusters": [{"name": cluster, "cluster": _cluster(where, read, cluster)}],
        "users": [{"name": user, "user": _user(where, read, user)}],
    }
    try:
        config = KubeConfig.from_dict(reduced, fname=path).get()
    except msgspec.ValidationError as error:
        problem = f"{where}: {outside_text(error)}"  # which names a field and its type, no value
    else:
        if config is not None:
            return config
        problem = f"{where} can't be used"
    raise ConfigError(problem)


def _yaml(file: str, text: str) -> Mapping[str, Any]:
    problem = "is no mapping with clusters, contexts and users in it"
    try:
        read = yaml.safe_load(text)
    except yaml.MarkedYAMLError as error:  # its text quotes the file
        line = error.problem_mark.line + 1 if error.problem_mark is not None else 1
        problem = f"is no YAML: line {line}: {outside_text(error.problem or '', 100)}"
    except (yaml.YAMLError, RecursionError, ValueError) as error:
        problem = f"is no YAML: {type(error).__name__}"
    else:
        if isinstance(read, dict):
            return read
    raise ConfigError(f"{file} {problem}")


def _name(where: str, said: Mapping[str, Any], kind: str) -> str:
    name = said.get(kind)
    if not isinstance(name, str) or not name:
        raise ConfigError(f"{where} names no {kind}")
    return name


def _cluster(where: str, read: Mapping[str, Any], name: str) -> Mapping[str, Any]:
    said = _part(where, read, "cluster", name, _CLUSTER)
    if not said.get("server"):  # lightkube would take http://localhost:8080
        raise ConfigError(f"{where}: cluster {name} has no `server`")
    # As kubectl: what stands in the file itself comes first.
    beside = "certificate-authority" if said.get("certificate-authority-data") else None
    return {field: value for field, value in said.items() if field != beside}


def _user(where: str, read: Mapping[str, Any], name: str) -> Mapping[str, Any]:
    said = _part(where, read, "user", name, _USER)
    if not any(said.get(field) for field in _USER if not field.startswith("client-key")):
        raise ConfigError(f"{where}: user {name} has no `token`, no `tokenFile` and no `client-certificate`")
    return said


def _part(where: str, read: Mapping[str, Any], kind: str, name: str, known: set[str]) -> Mapping[str, Any]:
    said = _entry(where, read, kind, name, f"{where} names the {kind} {name}, and the file has none of that name")
    _refuse_unknown(where, kind, name, said, known)
    return {field: value for field, value in said.items() if field in known and value is not None}


def _refuse_unknown(where: str, kind: str, name: str, said: Mapping[str, Any], known: set[str]) -> None:
    for field, value in said.items():
        if field not in known | _HARMLESS and value not in (None, "", [], {}, False):
            instead = _INSTEAD.get(field, "remove it")
            raise ConfigError(
                f"{where}: {kind} {name} has `{outside_text(field)}`, which rotator doesn't do: {instead}"
            )


def _entry(where: str, read: Mapping[str, Any], kind: str, name: str, absent: str) -> Mapping[str, Any]:
    entries = read.get(f"{kind}s")
    if not isinstance(entries, list) or not all(isinstance(entry, dict) for entry in entries):
        raise ConfigError(f"{where}: `{kind}s` is no list of entries with `name` and `{kind}`")
    found = [entry for entry in entries if entry.get("name") == name]
    if not found:
        there = ", ".join(outside_text(str(entry.get("name"))) for entry in entries) or "none"
        raise ConfigError(f"{outside_text(absent)}; it has {there}")
    if len(found) > 1:
        raise ConfigError(f"{where} has {len(found)} entries in `{kind}s` with the name {outside_text(name)}")
    said = found[0].get(kind)
    if not isinstance(said, dict):
        raise ConfigError(f"{where}: {kind} {outside_text(name)} is no mapping")
    return said
