"""A config that is fine, to be spoilt."""

from collections.abc import Callable

from rotator.config.models import Config

FINE = """\
northflank:
  default: {token: {file: /run/secrets/northflank-token}}
store: {url: "sqlite:////var/lib/rotator/rotator.db"}
credentials:
  - {name: prod-aws, provider: aws, user: northflank-byoc, integrations: [prod-aws]}
"""

Load = Callable[..., Config]
Problems = Callable[..., list[str]]
