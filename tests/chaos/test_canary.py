"""P4: no secret in any byte that the service writes, at log level debug, whatever goes wrong around it.

Each trial's `check` searches for them too; here the outside does its worst to get them written.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path
from wsgiref.types import StartResponse, WSGIApplication, WSGIEnvironment

import pytest
import yaml
from werkzeug.wrappers import Request, Response

from rotator.sandbox.northflank.account import Echo
from rotator.sandbox.wire.rules import Cut, Rule
from rotator.sandbox.wire.serving import Server
from tests.chaos.canary import encodings
from tests.chaos.process import RUN
from tests.chaos.trial import Trial, trial

pytestmark = pytest.mark.realtime

BUGGY_PROVIDER = '''
"""AWS by a provider that breaks, once in each call, and says all that it knows."""

from dataclasses import replace

from rotator.providers.aws.provider import open_provider
from rotator.providers.aws.settings import AwsUserSettings
from rotator.providers.base import Plugin


class Buggy:
    def __init__(self, inner):
        self._inner = inner
        self._broken = set()

    def __getattr__(self, name):
        return getattr(self._inner, name)

    @property
    def abilities(self):
        return replace(self._inner.abilities, proves=self)

    def mint(self, draft):
        minted = self._inner.mint(draft)
        self._break("mint", minted.material)
        return minted

    def prove(self, material):
        self._break("prove", material)
        return self._inner.prove(material)

    def _break(self, call, material):
        if call not in self._broken:
            self._broken.add(call)
            try:
                raise KeyError(str(material.reveal()))
            except KeyError:
                raise ValueError(*material.reveal().values())


def open_buggy(settings, tools):
    return Buggy(open_provider(settings, tools))


plugin = Plugin(settings=AwsUserSettings, open=open_buggy)
'''


def install_buggy_provider(site: Path) -> None:
    """Make a distribution that offers a provider in place of rotator's own, as anybody's may."""
    info = site / "buggy-1.dist-info"
    info.mkdir(parents=True)
    (site / "buggy.py").write_text(BUGGY_PROVIDER)
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: buggy\nVersion: 1\n")
    (info / "entry_points.txt").write_text("[rotator.providers]\nbuggy = buggy:plugin\n")


def use_the_plugin(made: Trial) -> None:
    """Rewrite the config's only credential as one of the plugin's."""
    config = yaml.safe_load(made.stage.config_file.read_text())
    [credential] = config["credentials"]
    credential["settings"] = {"user": credential.pop("user"), "aws": credential.pop("aws")}
    credential |= {"provider": "buggy", "integration_provider": "aws"}
    made.stage.config_file.write_text(yaml.safe_dump({**config, "plugins": ["buggy"]}))


class Indiscreet:
    """Refuses the first push, and quotes all of the request in its answer's message."""

    def __init__(self, app: WSGIApplication) -> None:
        self._app = app
        self.refused = False

    def __call__(self, environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        request = Request(environ, populate_request=False)
        if request.method != "POST" or self.refused:
            return self._app(environ, start_response)
        self.refused = True
        body = json.loads(request.get_data())
        message = f"{request.headers['Authorization']}: {json.dumps(body)}"
        error = {"error": {"status": 400, "message": message, "id": "nf-invalid-request-body", "details": body}}
        return Response(json.dumps(error), 400, content_type="application/json")(environ, start_response)


def test_the_search_finds_what_is_there() -> None:
    secret = "wJalr/XUtn+FEMI=K7MDENG"
    assert len(encodings(secret)) > 8
    for text in (
        secret,
        json.dumps({"key": secret}),
        f"GET /?key={secret.replace('/', '%2F').replace('+', '%2B').replace('=', '%3D')}",
    ):
        assert any(form in text.encode() for form in encodings(secret))


def test_a_provider_that_breaks_and_tells_all(tmp_path: Path) -> None:
    site = tmp_path / "site"
    install_buggy_provider(site)
    stage = tmp_path / "stage"
    stage.mkdir()
    with trial(stage) as made:
        made.configure(policy={"watch": "1s"})  # how soon a credential is looked at again whose tick broke
        use_the_plugin(made)
        made.stage.account.behaviour = replace(made.stage.account.behaviour, echo=Echo.RAW)
        path = os.pathsep.join(filter(None, (str(site), os.environ.get("PYTHONPATH"))))
        service = made.start(("env", f"PYTHONPATH={path}", *RUN))
        assert made.follow(service)
        assert service.stop() == 0
        assert "a call broke in an unforeseen way" in service.said
        made.check()


def test_answers_that_are_cut_and_refusals_that_quote_what_was_sent(tmp_path: Path) -> None:
    with trial(tmp_path) as made, Server(Indiscreet(made.northflank)) as northflank:
        made.configure(northflank={"api_url": northflank.url})
        made.aws.put(Rule(action="CreateAccessKey", fault=Cut(keep=100_000)))
        service = made.start()
        service.wait_for("key.adopted")
        made.ask(now=True)
        held = service.wait_for("rotation.held")
        assert held["code"] == "push_refused"
        assert "withheld" in held["reason"]
        made.ask("resume")
        service.wait_for("rotation.done")
        assert service.stop() == 0
        made.check()
