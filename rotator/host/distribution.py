"""What rotator is installed as, and how to add a part that is not installed."""

from __future__ import annotations

import os

NAME = "northflank-rotator"
"""The distribution. The import package and the command are `rotator`; on PyPI that name is an unrelated project's."""

IMAGE_EXTRAS = "ROTATOR_IMAGE_EXTRAS"
"""The Dockerfile sets this variable to the extras that the image was built with. Outside of the image it is not set."""


def how_to_add(extra: str) -> str:
    """The remedy where this extra is not installed: pip's command, or in the image, which has no pip, a rebuild's."""
    built_with = os.environ.get(IMAGE_EXTRAS)
    if built_with is None:
        return f"pip install '{NAME}[{extra}]'"
    extras = dict.fromkeys(filter(None, [*built_with.split(","), extra]))
    return f"rebuild the image with `--build-arg EXTRAS={','.join(extras)}`."
