"""Knocks at the doors of hubkey from inside the cluster: each is open, and leads where it should."""

import json
import os
import ssl
import sys
import urllib.error
import urllib.request
from urllib.parse import urlsplit

BROKER = os.environ["BROKER_URL"]
CALLBACK = os.environ["CALLBACK_URL"]
PUBLIC = urlsplit(os.environ["PUBLIC_URL"])
CA_FILE = os.environ.get("CA_FILE")
SECONDS = 10


def ask(url):
    """Return status, content type and body."""
    context = ssl.create_default_context(cafile=CA_FILE) if url.startswith("https") else None
    request = urllib.request.Request(url, headers={"Host": PUBLIC.netloc} if url.startswith(CALLBACK) else {})
    try:
        with urllib.request.urlopen(request, timeout=SECONDS, context=context) as answer:
            return answer.status, answer.headers.get_content_type(), answer.read()
    except urllib.error.HTTPError as error:
        return error.code, error.headers.get_content_type(), error.read()


def broker_asks_for_a_server_token():
    status, kind, body = ask(f"{BROKER}/v1/providers")
    problem = json.loads(body) if kind == "application/problem+json" else {}
    return status == 401 and "code" in problem, f"{BROKER}/v1/providers: {status} {kind} {body[:200]!r}"


def callback_server_answers_with_its_page():
    url = f"{CALLBACK}{PUBLIC.path.rstrip('/')}/start/not-a-ticket"
    status, kind, body = ask(url)
    return status in (403, 410) and kind == "text/html", f"{url}: {status} {kind} {body[:200]!r}"


def callback_server_routes_nothing_of_the_broker():
    url = f"{CALLBACK}{PUBLIC.path.rstrip('/')}/v1/providers"
    status, kind, _ = ask(url)
    return status == 404, f"{url}: {status} {kind}"


failed = False
for door in (
    broker_asks_for_a_server_token,
    callback_server_answers_with_its_page,
    callback_server_routes_nothing_of_the_broker,
):
    try:
        good, seen = door()
    except OSError as error:
        good, seen = False, f"{type(error).__name__}: {error}"
    failed = failed or not good
    print("ok   " if good else "FAIL ", door.__name__.replace("_", " "), "-", seen, flush=True)
sys.exit(failed)
