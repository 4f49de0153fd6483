"""The search for secrets in every byte that was written."""

from __future__ import annotations

import base64
import json
from collections.abc import Iterable, Iterator
from pathlib import Path
from urllib.parse import quote, quote_plus


def leaks(secrets: Iterable[str], files: Iterable[Path]) -> list[str]:
    """Where a secret stands in clear or in a usual encoding: file and secret, each once."""
    wanted = {form: secret for secret in secrets for form in encodings(secret)}
    return [
        f"{file}: {secret}"
        for file in files
        for data in [file.read_bytes()]
        for secret in sorted({secret for form, secret in wanted.items() if form in data})
    ]


def encodings(secret: str) -> set[bytes]:
    """The secret as it is, as JSON, in a URL, in hex, and in base64 wherever it stands in the text that was encoded."""
    plain = secret.encode()
    return {
        plain,
        json.dumps(secret)[1:-1].encode(),
        json.dumps(secret)[1:-1].replace("/", "\\/").encode(),
        quote(secret, safe="").encode(),
        quote(secret).encode(),
        quote_plus(secret).encode(),
        plain.hex().encode(),
        plain.hex().upper().encode(),
        *_base64(plain),
    }


def _base64(plain: bytes) -> Iterator[bytes]:
    for before in range(3):
        encoded = base64.b64encode(b"\0" * before + plain)
        # Without what the neighbours have a part in: a character for each begun group of six bits.
        inner = encoded[-(-before * 8 // 6) : len(encoded.rstrip(b"=")) - 1]
        yield inner
        yield inner.translate(bytes.maketrans(b"+/", b"-_"))
