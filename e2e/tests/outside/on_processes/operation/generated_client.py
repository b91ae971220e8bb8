"""A sign-in, a token and a request with the client that was generated from the OpenAPI document."""

import os
import sys

import httpx
from kernel_api import AuthenticatedClient
from kernel_api.api.connections import connections, sign_out, token
from kernel_api.api.providers import providers
from kernel_api.api.sign_ins import acknowledge, create_sign_in, sign_in_status
from kernel_api.models import CreateSignIn, Problem, TokenRequest

client = AuthenticatedClient(
    base_url=os.environ["HUBKEY_URL"],
    token=os.environ["JUPYTERHUB_API_TOKEN"],
    timeout=httpx.Timeout(40),
)

listed = providers.sync(client=client)
assert "lab-api" in [provider.id for provider in listed.providers], listed

refused = create_sign_in.sync(client=client, body=CreateSignIn(provider="nowhere"))
assert isinstance(refused, Problem), refused
assert refused.code == "unknown_provider", refused

opened = create_sign_in.sync(client=client, body=CreateSignIn(provider="lab-api"))
assert opened.status == "opened", opened.status
print(opened.sign_in_url, file=sys.stderr, flush=True)

while True:
    found = sign_in_status.sync(opened.nonce, client=client, hubkey_poll_secret=opened.poll_secret)
    if found.status != "pending":
        break
assert found.status == "connected", found.status
acknowledge.sync_detailed(opened.nonce, client=client, hubkey_poll_secret=opened.poll_secret)

own = connections.sync(client=client)
assert found.connection.id in [connection.id for connection in own.connections]
drawn = token.sync(found.connection.id, client=client, body=TokenRequest(min_valid_seconds=10))
headers = {"Authorization": f"Bearer {drawn.access_token}"}
print(httpx.get(os.environ["LAB_API"] + "/projects", headers=headers).raise_for_status().text)

sign_out.sync_detailed(found.connection.id, client=client)
gone = token.sync(found.connection.id, client=client, body=TokenRequest())
assert isinstance(gone, Problem), "there is still a token"
assert gone.status == 404, gone
