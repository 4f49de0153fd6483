"""AWS, but for a draft that isn't finished as long as a file lies in its way.

Calls have deadlines, and what makes a draft is no call: the worker itself is stuck.
"""

from __future__ import annotations

import time
from pathlib import Path

from rotator.providers.aws.access import AwsAccess
from rotator.providers.aws.clients import clients_for
from rotator.providers.aws.provider import AwsUser
from rotator.providers.aws.settings import AwsUserSettings
from rotator.providers.base import Draft, Plugin, Tools

IN_THE_WAY = Path("/etc/rotator/in-the-way")


def open_provider(settings: AwsUserSettings, tools: Tools) -> StuckUser:
    access = AwsAccess(settings.aws, tools.deadline)
    return StuckUser(settings.user, access, clients_for(access, tools))


class StuckUser(AwsUser):
    def draft(self, store_id: str, generation: int) -> Draft:
        while IN_THE_WAY.exists():
            time.sleep(0.1)
        return super().draft(store_id, generation)


plugin = Plugin(settings=AwsUserSettings, open=open_provider)
