"""For `jupyterhub_config.py`: everything that a Hub has to know about hubkey, in one call.

```python
from hubkey import hub

hub.configure(
    c,
    public_url="https://hubkey.example.org",
    broker_url="https://hubkey-broker.internal:8443",
    api_token_file="/run/secrets/hubkey-api-token",
)
```

Call it last: it adds to what the file has set so far, and says so when the two contradict each other. It needs neither
the compiled module nor a network.
"""

from __future__ import annotations

import re
from copy import deepcopy
from importlib.metadata import PackageNotFoundError, version
from inspect import isawaitable
from pathlib import Path
from typing import TYPE_CHECKING, Any, NoReturn
from urllib.parse import SplitResult, urlsplit

from hubkey._exceptions import ConfigurationError

if TYPE_CHECKING:
    from collections.abc import Callable, MutableMapping
    from os import PathLike

    # A traitlets `Config`: sections by name, and in each section traits by name.
    Section = MutableMapping[str, Any]

SERVICE = "hubkey"
KERNEL_SCOPE = "custom:hubkey:kernel"

_KERNEL_SCOPE_TEXT = {"description": "Obtain third-party tokens from a kernel through hubkey"}
_USER_SCOPES = (f"{KERNEL_SCOPE}!user", f"access:services!service={SERVICE}")
# Shows when the Hub made a user. A hub user is the name and that time: a name may be given to somebody else.
_OWN_MODEL = "read:users!user"
_SERVER_SCOPES = ("users:activity!user", "access:servers!server", f"{KERNEL_SCOPE}!user", _OWN_MODEL)
# With one of these a server token stops being recognisable as the token of one server.
_TOO_WIDE = ("inherit", "self", "shares", "access:servers")
_API_TOKEN = re.compile(r"[0-9A-Za-z_-]{32,256}")
_LOOPBACK = ("127.0.0.1", "localhost", "::1")
_SHARES_SINCE = 5
_EXTRA_USER_SCOPES_SINCE = 6


def configure(  # noqa: PLR0913 - settings, each by its name
    c: Section,
    *,
    public_url: str,
    broker_url: str,
    callback_url: str | None = None,
    api_token_file: str | PathLike[str] | None = None,
    ca_file: str | None = None,
    hub_ca_file: str | None = None,
    allow_plaintext: bool = False,
) -> None:
    """Register hubkey with this Hub, and its broker with every single-user server.

    Args:
        c: the configuration object of `jupyterhub_config.py`.
        public_url: where browsers reach callback-server. An own host is safest; a path on the hub's own origin is
            `<hub>/services/hubkey` and needs `callback_url`.
        broker_url: where kernels reach token-broker, directly and never through the hub's proxy.
        callback_url: where the hub's proxy reaches callback-server; only for a path on the hub's origin.
        api_token_file: holds the API token of the service `hubkey`, which the broker holds too. May be left out where
            `c.JupyterHub.services` already has an entry `hubkey` with an `api_token`.
        ca_file: the path, inside the single-user servers, of the PEM file with the authority that signed the broker's
            certificate; only where the system's authorities do not know it.
        hub_ca_file: the same file where the Hub itself finds it, if that is another path. The Hub tells the broker when
            a server ended, so that its connections end with it.
        allow_plaintext: permits a `broker_url` of plain http that is not on this machine. Server tokens then cross the
            network in clear.

    Raises:
        ConfigurationError: a value cannot work, or contradicts what the file has set before. Nothing was changed.
    """
    public = _url("public_url", public_url)
    broker = _url("broker_url", broker_url)
    _check_transport(public, broker, allow_plaintext=allow_plaintext)
    _check_callback(public, callback_url)
    environment = {"HUBKEY_URL": broker.geturl().rstrip("/")}
    if ca_file is not None:
        environment["HUBKEY_CA_FILE"] = ca_file
    if allow_plaintext:
        environment["HUBKEY_ALLOW_PLAINTEXT"] = "1"
    entry: dict[str, Any] = {
        "name": SERVICE,
        "oauth_redirect_uri": public.geturl().rstrip("/") + "/oauth_callback",
        "oauth_no_confirm": True,
    }
    if callback_url is not None:
        entry["url"] = callback_url
    if api_token_file is not None:
        entry["api_token"] = _api_token(Path(api_token_file))

    # Everything is worked out before anything is set, so that a contradiction leaves the configuration as it was.
    hub_changes, service_token = _hub_changes(c["JupyterHub"], entry)
    changes = [*hub_changes, *_spawner_changes(c, environment)]
    ends = (environment["HUBKEY_URL"], service_token, hub_ca_file or ca_file)
    changes.append(lambda: _install_hook(c, *ends))
    for change in changes:
        change()


def _install_hook(c: Section, broker_url: str, api_token: str, ca_file: str | None) -> None:
    # Imported late: tornado is a part of every Hub, and not of every kernel that imports this package.
    from hubkey._hub.post_stop_hook import install_post_stop_hook  # noqa: PLC0415

    install_post_stop_hook(c, broker_url, api_token, ca_file)


def _hub_changes(hub: Section, entry: dict[str, Any]) -> tuple[list[Callable[[], None]], str]:
    """Give what to change for the Hub itself, and the API token that the service has then."""
    hub_version = _hub_version()
    services = _merged_services(_current(hub, "services", []), entry)
    custom_scopes = {KERNEL_SCOPE: _KERNEL_SCOPE_TEXT, **_current(hub, "custom_scopes", {})}
    roles: list[dict[str, Any]] = [dict(role) for role in _current(hub, "load_roles", [])]
    values: dict[str, Any] = {"services": services, "custom_scopes": custom_scopes, "load_roles": roles}

    user = next((role for role in roles if role.get("name") == "user"), None)
    if hub_version >= _EXTRA_USER_SCOPES_SINCE and (user is None or "scopes" not in user):
        values["extra_user_scopes"] = {*_current(hub, "extra_user_scopes", set()), *_USER_SCOPES}
    elif user is None:
        roles.append({"name": "user", "scopes": ["self", *_USER_SCOPES]})
    else:
        present = user.get("scopes", ["self"])
        # A token may do no more than its owner; `self` has it.
        added = _USER_SCOPES if "self" in present else (*_USER_SCOPES, _OWN_MODEL)
        user["scopes"] = _union(present, added)
    if hub_version >= _SHARES_SINCE:
        _grant_to_service(roles, "read:shares")
    service = next(service for service in services if service.get("name") == SERVICE)
    return [_setter(hub, trait, value) for trait, value in values.items()], service["api_token"]


def _merged_services(services: list[dict[str, Any]], ours: dict[str, Any]) -> list[dict[str, Any]]:
    for other in services:
        allowed = other.get("oauth_client_allowed_scopes") or ()
        if any(scope == "inherit" or scope.startswith(KERNEL_SCOPE) for scope in allowed):
            _refuse(
                f"The service {other.get('name')!r} may ask for {list(allowed)!r}. A token with 'inherit' or"
                f" {KERNEL_SCOPE!r} passes for a kernel's. Remove these from its oauth_client_allowed_scopes.",
            )
    nothing: dict[str, Any] = {}
    present = next((service for service in services if service.get("name") == SERVICE), nothing)
    for key, value in ours.items():
        if present.get(key, value) != value:
            _refuse(
                f"c.JupyterHub.services already has an entry {SERVICE!r} with another {key!r} than hubkey.hub.configure"
                " sets. Remove it there, or pass the same value here.",
            )
    if "url" in present and "url" not in ours:
        _refuse(
            f"c.JupyterHub.services has an entry {SERVICE!r} with a 'url', so the proxy would route to it. Pass it as"
            " callback_url, or remove it if callback-server has an own host.",
        )
    allowed = _union(present.get("oauth_client_allowed_scopes") or (), (_OWN_MODEL,))
    merged = {**present, **ours, "oauth_client_allowed_scopes": allowed}
    if not merged.get("api_token"):
        _refuse(
            "hubkey.hub.configure needs the API token that the broker presents to this Hub. Pass api_token_file, the"
            " path of a file with 32 or more letters and digits that token-broker reads too.",
        )
    if any(service is present for service in services):
        return [merged if service is present else service for service in services]
    return [*services, merged]


def _grant_to_service(roles: list[dict[str, Any]], scope: str) -> None:
    """Give the service a scope by a role of its own name."""
    role = next((role for role in roles if role.get("name") == SERVICE), None)
    if role is None:
        roles.append(
            {
                "name": SERVICE,
                "description": "See with whom a server is shared before a token is given to it",
                "scopes": [scope],
                "services": [SERVICE],
            },
        )
        return
    role["scopes"] = _union(role.get("scopes", ()), (scope,))
    role["services"] = _union(role.get("services", ()), (SERVICE,))


def _spawner_changes(c: Section, environment: dict[str, str]) -> list[Callable[[], None]]:
    """Change `c.Spawner`, and each of its subclasses' sections that would hide what `c.Spawner` says."""
    changes: list[Callable[[], None]] = []
    sections: dict[str, Section] = {"Spawner": c["Spawner"], **{name: c[name] for name in c if "Spawner" in name}}
    for name, section in sections.items():
        base = name == "Spawner"
        if base or _is_concrete(section, "environment"):
            merged = _merged_environment(name, _current(section, "environment", {}), environment)
            changes.append(_setter(section, "environment", merged))
        if base or _is_concrete(section, "server_token_scopes"):
            scopes = _merged_server_scopes(name, _current(section, "server_token_scopes", []))
            changes.append(_setter(section, "server_token_scopes", scopes))
    return changes


def _merged_environment(name: str, present: dict[str, Any], ours: dict[str, str]) -> dict[str, Any]:
    for key, value in ours.items():
        if present.get(key, value) != value:
            _refuse(
                f"c.{name}.environment sets {key} to {present[key]!r}, and hubkey.hub.configure would set it to"
                f" {value!r}. Remove it there.",
            )
    return {**present, **ours}


def _merged_server_scopes(name: str, present: Any) -> Any:  # noqa: ANN401 - a list, or a function that gives one
    if isinstance(present, _ServerScopes):
        return present
    if callable(present):
        return _ServerScopes(name, present)
    for scope in present:
        if scope in _TOO_WIDE or re.match(r"access:servers!(?!server$)", scope):
            _refuse(
                f"c.{name}.server_token_scopes holds {scope!r}. With it the broker cannot tell of which server a token"
                " is, and would refuse every kernel. Remove it; 'access:servers!server' is added by"
                " hubkey.hub.configure.",
            )
    return _union(present, _SERVER_SCOPES)


class _ServerScopes:
    """Adds hubkey's scopes to those of the operator's own function of the spawner."""

    def __init__(self, name: str, present: Callable[[Any], Any]) -> None:
        self._name = name
        self._present = present

    async def __call__(self, spawner: Any) -> list[str]:  # noqa: ANN401 - the Hub's Spawner
        scopes = self._present(spawner)
        if isawaitable(scopes):
            scopes = await scopes
        return _merged_server_scopes(self._name, list(scopes))


def _current(section: Section, trait: str, default: Any) -> Any:  # noqa: ANN401 - whatever the trait holds
    """Read what was set so far, also where it was set by `c.X.trait.append(…)` or `.update(…)`."""
    # `get` and not `[]`, which makes an entry.
    value = section.get(trait, default)
    return deepcopy(value).get_value(default) if hasattr(value, "get_value") else value


def _is_concrete(section: Section, trait: str) -> bool:
    """Tell whether a subclass's section replaces what `c.Spawner` says, and does not just add to it."""
    return trait in section and not hasattr(section.get(trait), "get_value")


def _setter(section: Section, trait: str, value: object) -> Callable[[], None]:
    return lambda: section.__setitem__(trait, value)


def _union(present: Any, added: tuple[str, ...]) -> list[str]:  # noqa: ANN401 - any iterable of scopes
    return list(dict.fromkeys([*present, *added]))


def _check_transport(public: SplitResult, broker: SplitResult, *, allow_plaintext: bool) -> None:
    if public.scheme == "http" and public.hostname not in _LOOPBACK:
        _refuse(
            f"public_url={public.geturl()!r} is plain http, where browsers drop the cookies that protect a sign-in."
            " Give callback-server a certificate, or put it behind an ingress that has one, and pass its https URL.",
        )
    if broker.scheme == "http" and broker.hostname not in _LOOPBACK and not allow_plaintext:
        _refuse(
            f"broker_url={broker.geturl()!r} is plain http, so server tokens would cross the network in clear. Pass an"
            " https URL (and ca_file), or allow_plaintext=True if something else encrypts that path.",
        )


def _check_callback(public: SplitResult, callback_url: str | None) -> None:
    if callback_url is None:
        return
    _url("callback_url", callback_url)
    if not public.path.rstrip("/").endswith(f"/services/{SERVICE}"):
        _refuse(
            f"public_url={public.geturl()!r} is not below the hub, although callback_url is given. Either pass"
            f" public_url='<hub>/services/{SERVICE}', which the hub's proxy routes to callback_url, or leave"
            " callback_url out.",
        )


def _url(field: str, value: object) -> SplitResult:
    parts = urlsplit(value) if isinstance(value, str) else None
    if parts is None or parts.scheme not in {"http", "https"} or not parts.hostname or "@" in parts.netloc:
        _refuse(f"{field}={value!r} is not a URL. Pass it whole, such as 'https://hubkey.example.org'.")
    if parts.query or parts.fragment:
        _refuse(f"{field}={value!r} has a query or a fragment. Pass the URL without them.")
    return parts


def _api_token(path: Path) -> str:
    try:
        token = path.read_text(encoding="utf-8").strip()
    except (OSError, UnicodeDecodeError) as error:
        _refuse(f"api_token_file={str(path)!r} cannot be read ({type(error).__name__}). Pass the path of a text file.")
    if not _API_TOKEN.fullmatch(token):
        _refuse(
            f"api_token_file={str(path)!r} does not hold an API token: 32 to 256 letters, digits, '-' and '_'. Make one"
            " with `openssl rand -hex 32`.",
        )
    return token


def _hub_version() -> int:
    try:
        return int(version("jupyterhub").partition(".")[0])
    except PackageNotFoundError:
        _refuse("hubkey.hub.configure runs inside the Hub, and jupyterhub is not installed here. Install it first.")


def _refuse(message: str) -> NoReturn:
    raise ConfigurationError(message) from None
