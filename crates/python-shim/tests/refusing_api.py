"""An API that refuses tokens as a test says, and understands what each library sends."""

from __future__ import annotations

import re
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import datetime, timedelta, timezone
from email.utils import formatdate
from http.server import BaseHTTPRequestHandler
from typing import TYPE_CHECKING
from urllib.parse import parse_qs

from scripted_broker import serving

if TYPE_CHECKING:
    from collections.abc import Iterator

ROLE = """<AssumeRoleWithWebIdentityResponse xmlns="https://sts.amazonaws.com/doc/2011-06-15/">
<AssumeRoleWithWebIdentityResult><Credentials><AccessKeyId>ROLE</AccessKeyId><SecretAccessKey>s</SecretAccessKey>
<SessionToken>t</SessionToken><Expiration>{}</Expiration></Credentials>
<AssumedRoleUser><AssumedRoleId>r</AssumedRoleId><Arn>arn:aws:sts::123456789012:assumed-role/lab/x</Arn></AssumedRoleUser>
</AssumeRoleWithWebIdentityResult></AssumeRoleWithWebIdentityResponse>"""


@dataclass
class RefusingApi:
    url: str = ""
    refused: set[str] = field(default_factory=set)
    refuses_all: bool = False
    # In place of the usual answer: its media type and its text, in which `{token}` stands for what was sent.
    explains: tuple[str, str] | None = None
    methods: list[str] = field(default_factory=list)
    tokens: list[str | None] = field(default_factory=list)
    bodies: list[bytes] = field(default_factory=list)
    paths: list[str] = field(default_factory=list)

    def status(self, token: str | None, body: bytes) -> int:
        self.tokens.append(token)
        self.bodies.append(body)
        return 401 if token is None or self.refuses_all or token in self.refused else 200


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    api: RefusingApi

    def handle_any(self) -> None:
        body = self.body()
        self.api.paths.append(self.path)
        self.api.methods.append(self.command)
        header = (self.headers.get("authorization") or "").partition(" ")[2] or None
        form = parse_qs(body.decode("latin-1")).get("WebIdentityToken")
        moved = re.fullmatch(r"/moved\?to=(.*)", self.path)
        status = 302 if moved else self.api.status(form[0] if form else header, body)
        large = re.fullmatch(r"/large\?mib=(\d+)", self.path)
        if large and status == 200:
            self.send_large(int(large[1]))
            return
        until = datetime.now(timezone.utc) + timedelta(seconds=60)
        answer = (ROLE.format(f"{until:%Y-%m-%dT%H:%M:%SZ}") if form else '["aurora"]').encode()
        kind = "text/xml" if form else "application/json"
        if self.api.explains is not None:
            kind, text = self.api.explains
            answer = text.replace("{token}", header or "").encode()
        self.send_response(status)
        if moved:
            self.send_header("location", moved[1])
        self.send_header("content-type", kind)
        self.send_header("content-length", str(len(answer)))
        self.send_header("etag", '"1"')
        self.send_header("last-modified", formatdate(usegmt=True))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(answer)

    def send_large(self, mib: int) -> None:
        self.send_response(200)
        self.send_header("content-length", str(mib << 20))
        self.end_headers()
        for _ in range(mib):
            self.wfile.write(bytes(1 << 20))

    def body(self) -> bytes:
        if self.headers.get("transfer-encoding") == "chunked":
            whole = b""
            while size := int(self.rfile.readline(), 16):
                whole += self.rfile.read(size)
                self.rfile.readline()
            self.rfile.readline()
            return whole
        return self.rfile.read(int(self.headers.get("content-length", 0)))

    do_GET = do_POST = do_HEAD = do_PUT = do_PATCH = do_DELETE = handle_any  # noqa: N815 - the names that the base class calls

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the name that the base class gives it
        del format, args


@contextmanager
def refusing_api() -> Iterator[RefusingApi]:
    api = RefusingApi()
    with serving(type("ApiHandler", (Handler,), {"api": api})) as api.url:
        yield api
