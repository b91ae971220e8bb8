"""What predecessors do: a service of the hub, written with Tornado, that hands out a token it holds in memory.

Identity as JupyterHub's own helper knows it: the hub is asked once for a token, and its answer is kept for minutes.
"""

import json
import os

from jupyterhub.services.auth import HubAuth, HubAuthenticated
from tornado import ioloop, web

ANSWER = json.loads(os.environ["PEER_ANSWER"])


class Token(HubAuthenticated, web.RequestHandler):
    """`POST /token`."""

    def check_xsrf_cookie(self) -> None:
        """Take requests of programs, which carry a token instead of cookies."""

    @web.authenticated
    def post(self) -> None:
        """Give the token of the user who asks."""
        json.loads(self.request.body)
        self.get_current_user()
        self.finish(ANSWER)


if __name__ == "__main__":
    HubAuth.instance(
        api_url=os.environ["PEER_HUB_API"],
        api_token=os.environ["PEER_SERVICE_TOKEN"],
        access_scopes=[],
        cache_max_age=300,
    )
    web.Application([("/token", Token)]).listen(int(os.environ["PEER_PORT"]), "127.0.0.1")
    ioloop.IOLoop.current().start()
