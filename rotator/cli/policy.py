"""`rotator policy`: the least rights that rotator needs for a credential, in its cloud's own language.

Sends nothing and loads no SDK: it works before anything else does.
"""

from __future__ import annotations

from itertools import takewhile

from rotator.cli.names import must_exist
from rotator.cli.options import ConfigPath, JsonOption, Name
from rotator.cli.render import note, say, show_json
from rotator.cli.session import begin, refuse_keyless
from rotator.errors import ExitCode, UsageError


def policy(name: Name, path: ConfigPath = None, as_json: JsonOption = False) -> ExitCode:
    """Print the text, ready to paste.

    Raises:
        UsageError: the config has no such credential, it is keyless, or its provider has no such text.
    """
    config = begin(path).config
    must_exist(config, [name])
    refuse_keyless(config, [name])
    section = next(section for section in config.credentials if section.name == name)
    rights = section.rights()
    if rights is None:
        raise UsageError(
            f"{name}: the provider {section.provider} has no text about the rights that it needs.",
            remedy="its documentation says them; or the package that has the provider is not installed.",
        )
    notes, text = _without_notes(rights.rstrip("\n").split("\n"))
    if as_json:
        show_json({"credential": name, "provider": section.provider, "notes": notes, "policy": text})
        return ExitCode.FINE
    for line in notes:
        note(line)
    say(text)
    return ExitCode.FINE


def _without_notes(lines: list[str]) -> tuple[list[str], str]:
    """The comments at the beginning, for the operator, and what can be piped into a file or another command."""
    notes = list(takewhile(lambda line: line.startswith("#"), lines))
    rest = "\n".join(lines[len(notes) :])
    return [line.removeprefix("# ") for line in notes], rest
