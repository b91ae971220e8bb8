"""The Hub's half of the end of a server. It stands alone: k8s/z2jh/values.yaml has a copy, for a Hub without hubkey."""

import json
import logging
from dataclasses import dataclass, field
from inspect import isawaitable
from typing import Any

from jupyterhub.utils import isoformat  # pyright: ignore[reportMissingTypeStubs, reportUnknownVariableType]
from tornado.httpclient import AsyncHTTPClient


@dataclass(frozen=True)
class HubkeyPreSpawnHook:
    """Remembers a server's token, then does what the operator's own hook does."""

    broker_url: str
    before: Any = None

    async def __call__(self, spawner: Any) -> Any:  # noqa: ANN401 - the Hub's Spawner; what the own hook gives
        # Some spawners forget it as soon as the server's process is gone, before the hook below is called.
        spawner.hubkey_server_token = spawner.api_token
        result = self.before(spawner) if self.before else None
        return await result if isawaitable(result) else result


@dataclass(frozen=True)
class HubkeyPostStopHook:
    """Tells the broker that a server ended, then does what the operator's own hook does."""

    broker_url: str
    api_token: str = field(repr=False)
    ca_file: "str | None" = None
    before: Any = None
    # A stop waits no longer for the broker. What it does not hear of ends after 12 hours without a kernel.
    seconds: float = 3

    async def __call__(self, spawner: Any) -> Any:  # noqa: ANN401 - the Hub's Spawner; what the own hook gives
        # One that goes on with the token that it has did not end.
        if not spawner.will_resume:
            await self._tell(
                {
                    "user": spawner.user.name,
                    "server": spawner.name,
                    # A name may be given again and a person renamed: these two say whose server it was. A Hub that was
                    # started anew meanwhile does not know the token any more.
                    "created": isoformat(spawner.user.created),
                    "token": spawner.api_token or getattr(spawner, "hubkey_server_token", None),
                },
            )
        result = self.before(spawner) if self.before else None
        return await result if isawaitable(result) else result

    async def _tell(self, ended: "dict[str, str | None]") -> None:
        # A client of its own: a broker that does not answer takes no turn of the Hub's other questions.
        client = AsyncHTTPClient(force_instance=True)
        try:
            await client.fetch(
                f"{self.broker_url}/v1/servers/stopped",
                method="POST",
                headers={"Authorization": f"Bearer {self.api_token}", "Content-Type": "application/json"},
                body=json.dumps(ended),
                ca_certs=self.ca_file,
                connect_timeout=self.seconds,
                request_timeout=self.seconds,
                follow_redirects=False,
            )
        except Exception as error:  # noqa: BLE001 - whatever it is, it must not hinder the stop
            log = logging.getLogger("hubkey")
            whose = (ended["server"], ended["user"], str(error) or type(error).__name__)
            log.warning("hubkey could not be told that server %r of %r ended: %s", *whose)
        finally:
            client.close()


def install_post_stop_hook(c: Any, broker_url: str, api_token: str, ca_file: "str | None" = None) -> None:  # noqa: ANN401
    """Set the hooks for every spawner, around the operator's own; a second time changes nothing."""

    def at_start(before: object) -> HubkeyPreSpawnHook:
        return HubkeyPreSpawnHook(broker_url, before)

    def at_end(before: object) -> HubkeyPostStopHook:
        return HubkeyPostStopHook(broker_url, api_token, ca_file, before)

    for trait, around in (("pre_spawn_hook", at_start), ("post_stop_hook", at_end)):
        hiding = [name for name in c if "Spawner" in name and name != "Spawner" and trait in c[name]]
        for name in ["Spawner", *hiding]:
            before = c[name].get(trait)
            if getattr(before, "broker_url", None) != broker_url:
                c[name][trait] = around(before)
