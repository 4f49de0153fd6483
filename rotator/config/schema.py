"""The JSON schema of the config, for editors. `python -m rotator.config.schema` prints it."""

from __future__ import annotations

import json
import sys

from rotator.config.models import Config


def schema() -> str:
    """The text of `config/rotator.schema.json`, made from the models."""
    document = {"$schema": "https://json-schema.org/draft/2020-12/schema", **Config.model_json_schema()}
    return json.dumps(document, indent=2, ensure_ascii=False) + "\n"


if __name__ == "__main__":
    sys.stdout.write(schema())
