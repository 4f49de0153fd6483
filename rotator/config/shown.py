"""Which values of a config a message may show: those that can be no secret."""

from __future__ import annotations

import re

_LONGEST_TEXT = 200
_LONGEST_RUN = 32  # most secrets that stand where they don't belong are longer
_RUN = re.compile(r"[^\s,;()\[\]'\"]+")

# What is long and known to be no secret: it names something. A user or a password in a URL, or a query, makes it one.
_NAMES = (
    re.compile(r"arn:[a-z-]*:[a-z0-9-]*:[a-z0-9-]*:[0-9]*:[\w+=,.@:/-]{1,100}"),
    re.compile(r"ocid1\.[a-z]+\.[a-z0-9]*\.[a-z0-9-]*\.[a-z0-9.]{1,80}"),
    re.compile(r"[0-9a-fA-F]{8}(-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}"),
    re.compile(r"[a-z0-9.-]{1,32}@[a-z0-9.-]{1,100}"),
)


def may_be_shown(text: str) -> bool:
    """The text is short or of a known form; a word without meaning that is as long as a secret is not."""
    return len(text) <= _LONGEST_TEXT and text.isprintable() and all(map(_is_no_secret, _RUN.findall(text)))


def _is_no_secret(run: str) -> bool:
    if any(known.fullmatch(run) for known in _NAMES):
        return True
    if "@" in run:
        return False
    return len(run) <= _LONGEST_RUN or _is_path(run)


def _is_path(run: str) -> bool:
    """A path or an address, in parts that are short. A key in base64 may begin with a slash; capitals give it away."""
    begins = (run.startswith("/") and run.islower()) or re.match(r"[a-z]+:/", run) is not None
    return begins and not set("?#") & set(run) and all(len(part) <= _LONGEST_RUN for part in run.split("/"))
