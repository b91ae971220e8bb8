"""Drive one kernel of a single-user server from outside, over the server's own API, as a front end does.

Reads one JSON command a line and writes one JSON event a line; ends, and deletes its kernel, with its input.
Arguments: the server's address, whether a person answers questions. The token comes in the environment.
"""

from __future__ import annotations

import json
import os
import sys
import threading
import time
import uuid
from contextlib import suppress
from datetime import datetime, timezone
from typing import Any

import requests
import websocket

TIMEOUT = 30
# A connection on which the kernel is not heard within this many seconds is given up for another one.
HEARD_WITHIN = 15
CONNECTIONS = 4


def emit(event: str, **fields: Any) -> None:
    """Write one event, if anybody still listens."""
    with suppress(BrokenPipeError):
        sys.stdout.write(json.dumps({"event": event, **fields}) + "\n")
        sys.stdout.flush()


class Kernel:
    """One kernel and the connection to it."""

    def __init__(self, server: str, token: str, *, person: bool) -> None:
        """Start the kernel."""
        self.server = server
        self.person = person
        self.headers = {"Authorization": f"token {token}"}
        self.session = uuid.uuid4().hex
        answer = requests.post(f"{server}api/kernels", headers=self.headers, json={"name": "python3"}, timeout=TIMEOUT)
        answer.raise_for_status()
        self.id = answer.json()["id"]
        self.socket = self.connect()
        self.cell = ""
        self.reply = ""
        self.idle = False

    def connect(self) -> websocket.WebSocket:
        """Connect until the kernel is heard: an open connection does not say that the kernel is at its other end."""
        for _ in range(CONNECTIONS):
            with suppress(OSError, websocket.WebSocketException):
                address = f"{self.server.replace('http', 'ws', 1)}api/kernels/{self.id}/channels"
                address += f"?session_id={self.session}"
                socket = websocket.create_connection(address, header=self.headers, timeout=TIMEOUT)
                if self.is_heard(socket):
                    socket.settimeout(None)
                    return socket
                socket.close()
        raise TimeoutError("the kernel was not heard on any of " + str(CONNECTIONS) + " connections")

    def is_heard(self, socket: websocket.WebSocket) -> bool:
        """Ask what the kernel is, until both its answer and its state come back."""
        asked, missing, until = uuid.uuid4().hex, {"kernel_info_reply", "status"}, time.monotonic() + HEARD_WITHIN
        socket.settimeout(2)
        while missing and time.monotonic() < until:
            socket.send(self.message(asked, "shell", "kernel_info_request", {}))
            with suppress(websocket.WebSocketTimeoutException):
                while missing:
                    message = json.loads(socket.recv())
                    if message["parent_header"].get("msg_id") == asked:
                        missing.discard(message["header"]["msg_type"])
        return not missing

    def message(self, identity: str, channel: str, kind: str, content: dict[str, Any]) -> str:
        """Make one message with this id."""
        header = {
            "msg_id": identity,
            "msg_type": kind,
            "session": self.session,
            "username": "tests",
            "date": datetime.now(timezone.utc).isoformat(),
            "version": "5.4",
        }
        message = {"channel": channel, "header": header, "parent_header": {}, "metadata": {}, "content": content}
        return json.dumps(message)

    def send(self, identity: str, channel: str, kind: str, content: dict[str, Any]) -> None:
        """Send one message with this id."""
        self.socket.send(self.message(identity, channel, kind, content))

    def execute(self, code: str) -> None:
        """Run one cell."""
        content = {
            "code": code,
            "silent": False,
            "store_history": True,
            "user_expressions": {},
            "allow_stdin": self.person,
            # No cell waits behind another one here, and one that comes a moment later is not to be dropped.
            "stop_on_error": False,
        }
        self.reply, self.idle = "", False
        # Known before it is sent: the other thread may hear of the cell at once.
        self.cell = uuid.uuid4().hex
        self.send(self.cell, "shell", "execute_request", content)

    def interrupt(self) -> None:
        """Press Stop."""
        address = f"{self.server}api/kernels/{self.id}/interrupt"
        requests.post(address, headers=self.headers, timeout=TIMEOUT).raise_for_status()

    def restart(self) -> None:
        """Press "Restart kernel"; the server answers when the new process is there."""
        self.cell = ""
        address = f"{self.server}api/kernels/{self.id}/restart"
        requests.post(address, headers=self.headers, timeout=TIMEOUT).raise_for_status()

    def listen(self) -> None:
        """Turn the kernel's messages into events, until the connection ends."""
        try:
            while frame := self.socket.recv():
                self.tell(json.loads(frame))
        except (OSError, websocket.WebSocketException) as error:
            emit("lost", reason=str(error))

    def tell(self, message: dict[str, Any]) -> None:
        """Tell one message, if it belongs to the cell."""
        kind, content = message["header"]["msg_type"], message["content"]
        if message["parent_header"].get("msg_id") != self.cell:
            return
        if kind == "stream":
            emit("stream", name=content["name"], text=content["text"])
        elif kind in {"display_data", "update_display_data", "execute_result"}:
            identity = content.get("transient", {}).get("display_id")
            emit("display", data=content["data"], id=identity, update=kind == "update_display_data")
        elif kind == "error":
            emit("error", name=content["ename"], text=content["evalue"], traceback=content["traceback"])
        elif kind == "execute_reply":
            self.reply = content["status"]
        elif kind == "status":
            if content["execution_state"] == "busy":
                emit("begun")
            self.idle = content["execution_state"] == "idle"
        # Reply and output come over two channels: only with both is everything said.
        if self.reply and self.idle and kind in {"execute_reply", "status"}:
            emit("done", status=self.reply)

    def close(self) -> None:
        """Delete the kernel, if its server is still there."""
        with suppress(OSError, websocket.WebSocketException, requests.RequestException):
            self.socket.close()
            requests.delete(f"{self.server}api/kernels/{self.id}", headers=self.headers, timeout=TIMEOUT)


def main() -> None:
    """Obey until the input ends."""
    kernel = Kernel(sys.argv[1], os.environ["SERVER_TOKEN"], person=sys.argv[2] == "person")
    threading.Thread(target=kernel.listen, daemon=True).start()
    emit("ready", kernel=kernel.id)
    try:
        for line in sys.stdin:
            command = json.loads(line)
            if command["do"] == "execute":
                kernel.execute(command["code"])
            elif command["do"] == "interrupt":
                kernel.interrupt()
            elif command["do"] == "restart":
                kernel.restart()
                emit("ready", kernel=kernel.id)
    finally:
        kernel.close()
        # Nothing is left to be flushed to, and nothing to be said about that.
        os._exit(0)


if __name__ == "__main__":
    main()
