"""`connections()`: what this server can reach."""

from __future__ import annotations

import hubkey
import pytest
from scripted_broker import SERVER_TOKEN, Broker


async def test_need_7_the_connections_of_this_server_are_listed_without_a_token(broker: Broker) -> None:
    broker.connect("lab-api", scopes=["projects:write", "openid"])
    broker.account_email = "<b>bob</b>@lab.example"
    broker.connect("data-api", audience="https://data.example")
    found = await hubkey.connections()
    assert [(one.provider, one.account, one.audience) for one in found] == [
        ("data-api", "<b>bob</b>@lab.example", "https://data.example"),
        ("lab-api", "alice.liddell@lab.example", None),
    ]
    assert found[1].scopes == ("openid", "projects:write")
    assert found[0].expires_at is not None
    assert found[0].expires_at.tzinfo is not None
    assert found[:1] == hubkey.Connections([found[0]])
    assert repr(found).splitlines()[1] == ("Lab API (lab-api) as alice.liddell@lab.example: openid projects:write")
    html = found._repr_html_()
    assert html.count("<tr>") == 3
    assert "&lt;b&gt;bob" in html
    assert "<b>" not in html
    for secret in (SERVER_TOKEN, "canary", "conn"):
        assert secret not in html.replace("connections", "")
        assert secret not in repr(found)
    assert broker.calls("POST") == [], "nothing was opened"


async def test_no_connections_are_said_in_words(broker: Broker) -> None:
    found = await hubkey.connections()
    assert len(found) == 0
    assert "can reach nothing" in repr(found)
    assert "can reach nothing" in found._repr_html_()
    broker.fault("GET /v1/connections", (403, {"status": 403, "code": "invalid_token", "title": "T.", "detail": "D."}))
    with pytest.raises(hubkey.AccessRefused):
        await hubkey.connections()


async def test_feature_a12_an_account_is_asked_for_by_name(broker: Broker) -> None:
    broker.connect("lab-api")
    await hubkey.connect("lab-api", account="alice.liddell@lab.example")
    assert broker.calls("POST", "/v1/sign-ins")[0].body["account"] == "alice.liddell@lab.example"
    with pytest.raises(hubkey.InvalidArgument) as caught:
        await hubkey.connect("lab-api", account=" ")
    assert caught.value.field == "account"


@pytest.mark.parametrize(
    ("cause", "sentence"),
    [
        ("access_ended", "Your access to Lab API has ended."),
        ("not_renewed", "Lab API did not renew your access."),
        ("registration_refused", "Lab API refuses this JupyterHub's registration."),
        (None, "Sign in to Lab API"),
    ],
)
async def test_found_a2_the_card_says_why_a_person_is_asked_again(
    broker: Broker,
    capsys: pytest.CaptureFixture[str],
    cause: str | None,
    sentence: str,
) -> None:
    broker.cause = cause
    broker.hold = 0.1
    with pytest.raises(hubkey.SignInTimeout):
        await hubkey.connect("lab-api", interactive=True, timeout=0.5)
    assert capsys.readouterr().err.startswith(sentence)


async def test_feature_a9_the_card_says_what_is_new(broker: Broker, capsys: pytest.CaptureFixture[str]) -> None:
    broker.more_scopes = ["projects:write"]
    broker.hold = 0.1
    with pytest.raises(hubkey.SignInTimeout):
        await hubkey.connect("lab-api", scopes=["projects:write"], interactive=True, timeout=0.5)
    shown = capsys.readouterr().err
    assert "Lab API is connected. To do more, it needs your word for: projects:write" in shown
    assert shown.count("https://") == 1, "one link"
