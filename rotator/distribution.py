"""What rotator is installed as, and how to add a part that is not installed."""

NAME = "northflank-rotator"
"""The distribution. The import package and the command are `rotator`; on PyPI that name is an unrelated project's."""


def how_to_add(extra: str) -> str:
    """The remedy where this extra is not installed."""
    return f"pip install '{NAME}[{extra}]'"
