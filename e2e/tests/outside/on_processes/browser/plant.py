"""Configuration of mallory's own server: one more page, for which plan.json holds what he wants.

It sets the cookies that he wrote there, and sends the browser where he wants it.
"""

import json
import pathlib
import sys
import types
from typing import Any

from tornado.web import RequestHandler


class Plant(RequestHandler):
    """The page."""

    def get(self) -> None:
        """Set the cookies and redirect."""
        plan = json.loads((pathlib.Path.home() / "plan.json").read_text())
        for line in plan["cookies"]:
            self.add_header("Set-Cookie", line)
        self.set_status(302)
        self.set_header("Location", plan["to"])


def load(app: Any) -> None:
    """Add the page to the server."""
    app.web_app.add_handlers(".*$", [(app.base_url + "plant", Plant)])


extension = types.ModuleType("plant_extension")
extension.__dict__.update(
    _jupyter_server_extension_points=lambda: [{"module": "plant_extension"}],
    _load_jupyter_server_extension=load,
)
sys.modules["plant_extension"] = extension
c.ServerApp.jpserver_extensions.update({"plant_extension": True})  # noqa: F821 - the server defines it
