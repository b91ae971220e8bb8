"""The way from the broker to Redis in the stack of the tests, which breaks on demand.

Told by signals: HUP lets everything through, USR1 resets every connection, old and new, USR2 swallows what comes in.
A connection that was silent once stays silent, as one does that a firewall on its way has forgotten: whoever is at its
end has to notice that himself. Takes the address to go to as its argument.
"""

from __future__ import annotations

import asyncio
import signal
import socket
import struct
import sys
from contextlib import suppress
from dataclasses import dataclass

_PORT = 6379
_MOST = 65536
# Lingering for no time at all: closing sends a reset.
_RESET = struct.pack("ii", 1, 0)


@dataclass(eq=False)
class _Way:
    """One accepted connection."""

    writer: asyncio.StreamWriter
    silent: bool = False

    def reset(self) -> None:
        endpoint: socket.socket = self.writer.get_extra_info("socket")
        with suppress(OSError):
            endpoint.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _RESET)
        self.writer.transport.abort()


class _Relay:
    def __init__(self, host: str, port: int) -> None:
        self._there = (host, port)
        self._ways: set[_Way] = set()
        self._resets = False
        self._silent = False

    def let_through(self) -> None:
        self._resets = self._silent = False

    def reset(self) -> None:
        self._resets, self._silent = True, False
        for way in self._ways:
            way.reset()

    def fall_silent(self) -> None:
        self._resets, self._silent = False, True
        for way in self._ways:
            way.silent = True

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        way = _Way(writer, silent=self._silent)
        self._ways.add(way)
        try:
            if not self._resets:
                await self._carry(way, reader)
        except OSError:
            pass
        finally:
            self._ways.discard(way)
            way.reset()

    async def _carry(self, way: _Way, reader: asyncio.StreamReader) -> None:
        if way.silent:
            while await reader.read(_MOST):
                pass
            return
        from_there, to_there = await asyncio.open_connection(*self._there)
        try:
            pumps = [
                asyncio.create_task(_pump(way, reader, to_there)),
                asyncio.create_task(_pump(way, from_there, way.writer)),
            ]
            await asyncio.wait(pumps, return_when=asyncio.FIRST_COMPLETED)
            for pump in pumps:
                pump.cancel()
        finally:
            to_there.transport.abort()


async def _pump(way: _Way, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    with suppress(OSError):
        while data := await reader.read(_MOST):
            if not way.silent:
                writer.write(data)
                await writer.drain()


async def _main() -> None:
    host, _, port = sys.argv[1].rpartition(":")
    relay = _Relay(host, int(port))
    loop = asyncio.get_running_loop()
    loop.add_signal_handler(signal.SIGHUP, relay.let_through)
    loop.add_signal_handler(signal.SIGUSR1, relay.reset)
    loop.add_signal_handler(signal.SIGUSR2, relay.fall_silent)
    server = await asyncio.start_server(relay.serve, None, _PORT)
    await server.serve_forever()


asyncio.run(_main())
