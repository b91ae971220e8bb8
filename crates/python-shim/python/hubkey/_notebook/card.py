"""What the person sees: one card with one link."""

from __future__ import annotations

import sys
from datetime import datetime, timedelta
from html import escape
from typing import TYPE_CHECKING, Protocol, cast

from hubkey._notebook.frontend import Frontend

if TYPE_CHECKING:
    from hubkey._hubkey import SignIn

_BOX = "border:1px solid #8a8a84;border-radius:8px;padding:{padding};max-width:560px;line-height:1.5"
# Literal colours with contrast on light and dark: variables of the front end are stripped from untrusted notebooks.
_BUTTON = (
    "display:inline-block;background:#0b6b62;color:#ffffff;text-decoration:none;font-weight:600;padding:7px 14px;"
    "border-radius:6px"
)
_MINUTE = 60
# What follows a sign-in that nothing waits for, and how it is cancelled: it ends by itself.
_AGAIN = ("Run this again when you are done.", "")

Bundle = dict[str, str]


class Card(Protocol):
    """What stands for one sign-in: first its link, in the end its outcome in place of the link."""

    def connected(self, line: str, html: str) -> None:
        """Say that the sign-in is done."""

    def ended(self, name: str, what: str) -> None:
        """Say why there is no connection, and what to do."""


def show_card(frontend: Frontend, sign_in: SignIn, seconds: float, *, waits: bool = True) -> Card:
    """Show the link. `waits` says whether what runs goes on by itself when the person is done."""
    if frontend in {Frontend.NOTEBOOK, Frontend.BATCH}:
        return _NotebookCard(sign_in, seconds, waits=waits)
    return _TerminalCard(sign_in, seconds, waits=waits)


def duration(seconds: float) -> str:
    """Say a time as people do."""
    count, unit = (round(seconds), "second") if seconds < 2 * _MINUTE else (round(seconds / _MINUTE), "minute")
    return f"{count} {unit}" if count == 1 else f"{count} {unit}s"


def connected_html(name: str, account: str, details: list[str]) -> str:
    """Give the line of a connection: whose account, what it permits, until when. Never the token."""
    more = "".join(f" · {escape(detail)}" for detail in details)
    return _box(
        f"&#10003; <strong>{escape(name)}</strong> as {escape(account)}"
        f' <span style="opacity:.75">{more.removeprefix(" ")}</span>',
    )


class _Handle(Protocol):
    """IPython's `DisplayHandle`, which has no types of its own."""

    def display(self, obj: Bundle, *, raw: bool) -> None: ...

    def update(self, obj: Bundle, *, raw: bool) -> None: ...


class _NotebookCard:
    def __init__(self, sign_in: SignIn, seconds: float, *, waits: bool) -> None:
        from IPython.display import DisplayHandle  # noqa: PLC0415 - only a notebook has it

        self._handle = cast("_Handle", DisplayHandle())
        # The bundle is handed over without a name of its own: the link is in it.
        self._handle.display(_waiting_bundle(sign_in, seconds, waits=waits), raw=True)

    def connected(self, line: str, html: str) -> None:
        self._handle.update({"text/plain": line, "text/html": html}, raw=True)

    def ended(self, name: str, what: str) -> None:
        html = _box(f"&#10007; <strong>{escape(name)}</strong>: {escape(what)}")
        self._handle.update({"text/plain": f"✗ {name}: {what}", "text/html": html}, raw=True)


class _TerminalCard:
    def __init__(self, sign_in: SignIn, seconds: float, *, waits: bool) -> None:
        then = ("This goes on by itself when you are done.", " Ctrl-C cancels.") if waits else _AGAIN
        _say(_waiting_text(sign_in, seconds, then))

    def connected(self, line: str, html: str) -> None:
        del html
        _say(line)

    def ended(self, name: str, what: str) -> None:
        _say(f"✗ {name}: {Frontend.TERMINAL.words(what)}")


def _waiting_bundle(sign_in: SignIn, seconds: float, *, waits: bool) -> Bundle:
    then = ("This cell goes on by itself when you are done.", " The stop button cancels.") if waits else _AGAIN
    link = (
        f'<a href="{escape(sign_in.url)}" target="_blank" rel="noopener noreferrer" style="{_BUTTON}">'
        f"Sign in to {escape(sign_in.display_name)}</a>"
    )
    html = _box(
        f"{_more_html(sign_in)}<div>{link}</div>"
        f'<div style="margin-top:8px">Opens a new tab. {then[0]}</div>'
        f'<div style="opacity:.75;font-size:12px;margin-top:2px">For {escape(sign_in.user)} only,'
        f" {_until(seconds)}.{then[1]}</div>",
        padding="12px 16px",
    )
    return {"text/plain": _waiting_text(sign_in, seconds, then), "text/html": html}


def _waiting_text(sign_in: SignIn, seconds: float, then: tuple[str, str]) -> str:
    return (
        f"{_more_text(sign_in)}Sign in to {sign_in.display_name}: {sign_in.url}\n"
        f"{then[0]}\n"
        f"For {sign_in.user} only, {_until(seconds)}.{then[1]}"
    )


def _until(seconds: float) -> str:
    """Say a length and an end: a card that was saved while it waited tells that it is over."""
    ends = datetime.now().astimezone() + timedelta(seconds=seconds)
    return f"for {duration(seconds)}, until {ends:%Y-%m-%d %H:%M %Z}"


def _more_text(sign_in: SignIn) -> str:
    """Say why a person is asked where a connection exists: it gives no token any more, or lacks something."""
    name = sign_in.display_name
    if sign_in.cause_sentence is not None:
        return sign_in.cause_sentence + "\n"
    if not sign_in.more_scopes:
        return ""
    more = ", ".join(sign_in.more_scopes)
    return f"{name} is connected. To do more, it needs your word for: {more}\n"


def _more_html(sign_in: SignIn) -> str:
    text = _more_text(sign_in)
    return text and f'<div style="margin-bottom:10px">{escape(text.strip())}</div>'


def _box(content: str, padding: str = "8px 16px") -> str:
    return f'<div style="{_BOX.format(padding=padding)}">{content}</div>'


def _say(text: str) -> None:
    # What a provider says of an account must not steer the terminal.
    text = "".join(letter if letter.isprintable() or letter == "\n" else "?" for letter in text)
    print(text, file=sys.stderr, flush=True)  # noqa: T201 - the person is at the terminal; stdout is the program's
