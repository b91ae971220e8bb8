"""Stands in for a single-user server in `hub_probe.py`: writes its environment down and answers the Hub's question."""

from __future__ import annotations

import json
import os
import sys
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from urllib.parse import urlsplit


class Answer(BaseHTTPRequestHandler):
    """Says that it is up."""

    def do_GET(self) -> None:
        self.send_response(200)
        self.send_header("X-JupyterHub-Version", os.environ.get("HUB_VERSION", "0"))
        self.end_headers()

    def log_message(self, *_: object) -> None:
        """Say nothing."""


def main() -> None:
    target = Path(sys.argv[1])
    address = urlsplit(os.environ["JUPYTERHUB_SERVICE_URL"])
    server = HTTPServer((address.hostname or "127.0.0.1", address.port or 0), Answer)
    draft = target.with_suffix(".part")
    draft.write_text(json.dumps(dict(os.environ)))
    draft.rename(target)
    server.serve_forever()


main()
