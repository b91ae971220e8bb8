"""How long `conn.token` takes where the token is there: microseconds, the best of each of several runs."""

import asyncio
import json
import sys
import timeit

import hubkey

CALLS = 20_000
RUNS = 15


async def main() -> None:
    """Connect with the connection that the server has, and read its token."""
    conn = await hubkey.connect("lab-api", timeout=10)
    if not conn.token:
        sys.exit("no token")
    seconds = timeit.repeat("conn.token", globals={"conn": conn}, number=CALLS, repeat=RUNS)
    sys.stdout.write(json.dumps([one / CALLS * 1e6 for one in seconds]) + "\n")


asyncio.run(main())
