"""A broker that speaks HTTP and does what a test tells it; and an API that writes down what it was sent."""

from __future__ import annotations

import json
import re
import secrets
import threading
import time
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import ssl
    from collections.abc import Callable, Iterator

SERVER_TOKEN = "canary-server-token-0123456789abcdef"
REQUEST_ID = "0123456789abcdef"
# What the page of a sign-in that failed shows.
REFERENCE = "7QK2-M4TX"
POLL_SECRET = "canary-poll-secret-0123456789abcdef"
TICKET = "canaryticket"
HOLD = 3.0


@dataclass
class Seen:
    method: str
    path: str
    headers: dict[str, str]
    body: Any


@dataclass
class Broker:
    """What the broker remembers, and what it was told to do."""

    url: str = ""
    hold: float = HOLD
    lifetime: int = 600
    token_seconds: int = 900
    refreshable: bool = True
    api_origins: list[str] = field(default_factory=lambda: ["https://api.lab.example"])
    providers: tuple[str, ...] = ("lab-api",)
    scopes: tuple[str, ...] = ("projects:read",)
    connections: dict[str, dict[str, Any]] = field(default_factory=dict)
    sign_ins: dict[str, dict[str, Any]] = field(default_factory=dict)
    keys: dict[str, str] = field(default_factory=dict)
    seen: list[Seen] = field(default_factory=list)
    faults: list[tuple[str, Any]] = field(default_factory=list)
    exchange_origins: list[str] = field(default_factory=list)
    account_email: str = "alice.liddell@lab.example"
    more_scopes: list[str] | None = None
    cause: str | None = None
    drawn: int = 0
    # How far the broker's clock is ahead of the kernel's.
    clock_ahead: int = 0
    changed: threading.Condition = field(default_factory=threading.Condition)

    def now(self) -> int:
        return int(time.time()) + self.clock_ahead

    # What a test says.

    def fault(self, endpoint: str, fault: Any) -> None:
        """Answer the next request to `endpoint` (such as `POST /v1/sign-ins`) by a status and a body, or `cut`."""
        self.faults.append((endpoint, fault))

    def connect(self, provider: str = "lab-api", **asked: Any) -> dict[str, Any]:
        """Have a connection, as after a finished sign-in."""
        identity = f"conn{'abcdef'[len(self.connections)]}x." + secrets.token_urlsafe(16)
        connection = {
            "id": identity,
            "provider": provider,
            "display_name": "Lab API",
            "account": {"sub": "0001", "name": "Alice Liddell", "email": self.account_email},
            "scopes": sorted(asked.get("scopes") or self.scopes),
            "audience": asked.get("audience"),
            "resource": asked.get("resource"),
            "expires_at": self.now() + self.token_seconds,
            "refreshable": self.refreshable,
            "api_origins": self.api_origins,
            "token_type": "Bearer",
        }
        self.connections[identity] = connection
        return connection

    def end(self, state: str, reason: str | None = None, nonce: str | None = None) -> None:
        """End the sign-in that was opened last (or `nonce`): `connected`, `denied`, `expired` or `failed`."""
        with self.changed:
            sign_in = self.sign_ins[nonce or list(self.sign_ins)[-1]]
            if state == "connected":
                sign_in["connection"] = self.connect(**{**sign_in["asked"], "provider": sign_in["provider"]})
            sign_in.update(status=state, reason=reason)
            self.changed.notify_all()

    def wait_until(self, condition: Callable[[], object], seconds: float = 10) -> None:
        with self.changed:
            assert self.changed.wait_for(condition, seconds), "the shim did not do it in time"

    def calls(self, method: str, path: str = "") -> list[Seen]:
        return [seen for seen in self.seen if seen.method == method and re.fullmatch(path or ".*", seen.path)]

    def access_token(self, connection: dict[str, Any], number: int = 0) -> str:
        return f"canary-access-token-{connection['audience'] or ''}-{connection['id'][:6]}-{number}"

    # What the broker does.

    def answer(self, seen: Seen) -> tuple[int, Any]:
        if seen.headers.get("authorization") != f"Bearer {SERVER_TOKEN}":
            return problem(403, "invalid_token", "The Hub does not know this token.", "Restart your server.")
        if seen.path == "/v1/providers":
            return 200, {"providers": [provider_of(provider, self.api_origins) for provider in self.providers]}
        if seen.path == "/v1/sign-ins":
            return self.create(seen)
        match = re.fullmatch(r"/v1/sign-ins/([^/]+)(/ack)?", seen.path)
        if match:
            return self.sign_in(seen, match[1], acknowledges=bool(match[2]))
        match = re.fullmatch(r"/v1/connections(?:/([^/]+)(?:/token|/exchange|/userinfo)?)?", seen.path)
        if match:
            return self.connection(seen, match[1])
        return problem(404, "not_found", "No such thing.", "Ask for something else.")

    def create(self, seen: Seen) -> tuple[int, Any]:
        asked = seen.body
        provider = asked.get("provider") or (self.providers[0] if len(self.providers) == 1 else None)
        if provider is None:
            return problem(400, "provider_required", "Several providers are configured.", "Name one.")
        if provider not in self.providers:
            return problem(400, "unknown_provider", "No provider of that id.", "Use a configured one.")
        for connection in self.connections.values():
            if connection["provider"] == provider and connection["audience"] == asked.get("audience"):
                return 200, self.connected(connection)
        if not asked.get("interactive", True):
            return problem(409, "sign_in_required", "No connection fits.", "Sign in.")
        key = seen.headers["idempotency-key"]
        if key not in self.keys:
            nonce = f"sign{'abcdefghij'[len(self.sign_ins)]}n." + secrets.token_urlsafe(16)
            self.keys[key] = nonce
            self.sign_ins[nonce] = {"status": "pending", "provider": provider, "asked": asked}
        return 201, {
            "status": "opened",
            "nonce": self.keys[key],
            "poll_secret": POLL_SECRET,
            "sign_in_url": f"https://hub.example.org/services/hubkey/start/{TICKET}",
            "expires_in": self.lifetime,
            "provider": provider,
            "display_name": "Lab API",
            "user": "alice",
            "more_scopes": self.more_scopes,
            "cause": self.cause,
        }

    def sign_in(self, seen: Seen, nonce: str, *, acknowledges: bool) -> tuple[int, Any]:
        sign_in = self.sign_ins.get(nonce)
        if sign_in is None or seen.headers.get("hubkey-poll-secret") != POLL_SECRET:
            return problem(404, "not_found", "No such thing, or not yours.", "Connect again.")
        if acknowledges or seen.method == "DELETE":
            sign_in["acknowledged" if acknowledges else "cancelled"] = True
            return 204, None
        self.changed.wait_for(lambda: sign_in["status"] != "pending", self.hold)
        state = sign_in["status"]
        if state == "pending":
            return 200, {"status": state, "retry_after_ms": 0}
        if state == "connected":
            # It is repeated to the byte, so `Date` says when it was told.
            result = self.connected(sign_in["connection"])
            for part in ("connection", "token"):
                del result[part]["expires_in"]
            return 200, result
        failure = {"reason": sign_in["reason"], "reference": REFERENCE} if sign_in["reason"] else {}
        return 200, {"status": state} | failure

    def connection(self, seen: Seen, identity: str | None) -> tuple[int, Any]:
        if identity is None:
            return 200, {"connections": [self.told(connection) for connection in self.connections.values()][::-1]}
        if seen.path.endswith("/exchange"):
            return self.exchange(identity, seen.body)
        if seen.path.endswith("/userinfo") and identity in self.connections:
            return 200, {"claims": {"sub": self.connections[identity]["account"]["sub"], "picture": '"><script>'}}
        if seen.method == "POST":
            return self.token(identity, seen.body["min_valid_seconds"])
        if self.connections.pop(identity, None) is None:
            return problem(404, "not_found", "No such connection.", "Connect again.")
        return 204, None

    def token(self, identity: str, min_valid: int) -> tuple[int, Any]:
        connection = self.connections.get(identity)
        if connection is None:
            return problem(404, "not_found", "No such connection.", "Connect again.")
        if self.token_seconds < min_valid:
            return problem(409, "token_lifetime_too_short", "The token ends earlier.", "Ask for less.")
        self.drawn += 1
        connection["expires_at"] = self.now() + self.token_seconds
        return 200, self.token_of(connection, self.drawn)

    def exchange(self, identity: str, asked: dict[str, Any]) -> tuple[int, Any]:
        if identity not in self.connections:
            return problem(404, "not_found", "No such connection.", "Connect again.")
        if asked.get("requested_issuer"):
            return problem(
                400, "issuer_not_allowed", "The provider is not configured for that issuer.", "Leave it out."
            )
        if asked.get("audience") == "third-api":
            return problem(403, "invalid_target", "The provider gives no token for that.", "Ask for something else.")
        if self.token_seconds < asked["min_valid_seconds"]:
            return problem(409, "token_lifetime_too_short", "The token ends earlier.", "Ask for less.")
        self.drawn += 1
        return 200, {
            "access_token": f"canary-exchanged-token-{self.drawn}",
            "token_type": "Bearer",
            "expires_at": self.now() + self.token_seconds,
            "expires_in": self.token_seconds,
            "scopes": asked.get("scopes") or [],
            "api_origins": self.exchange_origins,
        }

    def connected(self, connection: dict[str, Any]) -> dict[str, Any]:
        return {"status": "connected", "connection": self.told(connection), "token": self.token_of(connection)}

    def told(self, connection: dict[str, Any]) -> dict[str, Any]:
        return {**connection, "expires_in": max(0, connection["expires_at"] - self.now())}

    def token_of(self, connection: dict[str, Any], number: int = 0) -> dict[str, Any]:
        return {
            "access_token": self.access_token(connection, number),
            "token_type": "Bearer",
            "expires_at": connection["expires_at"],
            "expires_in": self.told(connection)["expires_in"],
            "scopes": connection["scopes"],
        }

    def take_fault(self, seen: Seen) -> Any:
        for index, (endpoint, fault) in enumerate(self.faults):
            method, path = endpoint.split(" ")
            if seen.method == method and seen.path.startswith(path):
                del self.faults[index]
                return fault
        return None


def problem(status: int, code: str, title: str, detail: str, **more: Any) -> tuple[int, Any]:
    return status, {"status": status, "code": code, "title": title, "detail": detail, **more}


def provider_of(identity: str, api_origins: list[str]) -> dict[str, Any]:
    return {
        "id": identity,
        "display_name": identity,
        "default_scopes": [],
        "allowed_scopes": [],
        "api_origins": api_origins,
        "status": "ready",
    }


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    broker: Broker

    def handle_any(self) -> None:
        length = int(self.headers.get("content-length", 0))
        body = json.loads(self.rfile.read(length)) if length else None
        headers = {name.lower(): value for name, value in self.headers.items()}
        seen = Seen(self.command, self.path, headers, body)
        broker = self.broker
        with broker.changed:
            broker.seen.append(seen)
            broker.changed.notify_all()
            fault = broker.take_fault(seen)
            status, answer = fault if isinstance(fault, tuple) else broker.answer(seen)
            broker.changed.notify_all()
        self.send(status, answer, cut=fault == "cut")

    def send(self, status: int, answer: Any, *, cut: bool) -> None:
        text = b"" if answer is None else json.dumps(answer).encode()
        self.send_response(status)
        if status in {301, 302, 307}:
            self.send_header("location", answer)
        self.send_header("x-request-id", REQUEST_ID)
        self.send_header("content-type", "application/json" if status < 400 else "application/problem+json")
        if status != 204:
            self.send_header("content-length", str(len(text)))
        self.end_headers()
        try:
            self.wfile.write(text[: len(text) // 2] if cut else text)
        except (BrokenPipeError, ConnectionResetError):
            self.close_connection = True
        if cut:
            self.close_connection = True

    def date_time_string(self, timestamp: float | None = None) -> str:
        return super().date_time_string(self.broker.now() if timestamp is None else timestamp)

    do_GET = do_POST = do_DELETE = handle_any  # noqa: N815 - the names that the base class calls

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the name that the base class gives it
        del format, args


class ApiHandler(BaseHTTPRequestHandler):
    received: list[str | None]

    def do_GET(self) -> None:
        self.received.append(self.headers.get("authorization"))
        target = re.fullmatch(r"/redirect\?to=(.*)", self.path)
        self.send_response(302 if target else 200)
        if target:
            self.send_header("location", target[1])
        self.send_header("content-length", "0")
        self.end_headers()

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the name that the base class gives it
        del format, args


class QuietServer(ThreadingHTTPServer):
    daemon_threads = True

    def handle_error(self, request: Any, client_address: Any) -> None:
        """A client that went away is no fault of the test."""


@contextmanager
def serving(handler: type[BaseHTTPRequestHandler], tls: ssl.SSLContext | None = None) -> Iterator[str]:
    server = QuietServer(("127.0.0.1", 0), handler)
    if tls is not None:
        # The handshake is left to the thread of the connection: here it would hold up the others.
        server.socket = tls.wrap_socket(server.socket, server_side=True, do_handshake_on_connect=False)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05})
    thread.start()
    try:
        yield f"{'http' if tls is None else 'https'}://127.0.0.1:{server.server_address[1]}"
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


@contextmanager
def scripted_broker(tls: ssl.SSLContext | None = None) -> Iterator[Broker]:
    broker = Broker()
    with serving(type("BrokerHandler", (Handler,), {"broker": broker}), tls) as url:
        broker.url = url
        yield broker
        with broker.changed:
            broker.hold = 0
            for sign_in in broker.sign_ins.values():
                sign_in["status"] = "expired" if sign_in["status"] == "pending" else sign_in["status"]
                sign_in.setdefault("reason", None)
            broker.changed.notify_all()
