"""What hubkey raises: one base, one class per thing to do next, and no secret and no URL in any text."""

from __future__ import annotations

from hubkey._traceback import rendered


class HubkeyError(Exception):
    """The base of everything that hubkey raises. Each attribute is `None` where there is nothing to say."""

    code: str | None = None
    """The stable word for what happened, such as `scope_not_allowed`: an error code of the broker, the reason why a
    sign-in failed, or why the broker's certificate is not trusted."""

    reference: str | None = None
    """What the operator finds the refused request by: `request_id` in the broker's log."""

    retry_after: int | None = None
    """How many seconds to wait before the same call may succeed."""

    sign_in_url: str | None = None
    """The link by which a person signs in. Only the exceptions of one person hold it, and no text of them."""

    def _render_traceback_(self) -> list[str]:
        """Show IPython what happened and what to do; `%tb` shows the way through the code."""
        return rendered(self)


class ConfigurationError(HubkeyError, ValueError):
    """Settings are missing, wrong or contradict each other; the text names each of them."""


class NotOnJupyterHub(HubkeyError):
    """This Python does not run in a server of a JupyterHub that offers hubkey."""


class InvalidArgument(HubkeyError, ValueError):
    """An argument of `connect()` has a value that cannot work; nothing was opened."""

    def __init__(self, field: str, value: object, reason: str) -> None:
        """Name the argument, show its value and say what would work."""
        super().__init__(f"{field}={value!r}: {reason}")
        self.field = field
        self.value = value
        self.reason = reason

    def __reduce__(self) -> tuple[type[InvalidArgument], tuple[str, object, str], dict[str, object]]:
        """Travel between processes with all parts."""
        return type(self), (self.field, self.value, self.reason), vars(self)


class InvalidArgumentType(InvalidArgument, TypeError):
    """An argument of `connect()` has a type that it does not take, or does not exist."""


class BrokerUnavailable(HubkeyError):
    """The token broker did not answer in time; the same call may succeed a little later."""


class AccessRefused(HubkeyError):
    """The broker or the provider does not serve this server; the operator has to change something."""


class SignInRequired(HubkeyError):
    """There is no usable connection. Where a person can be asked, `sign_in_url` is the link for them."""

    code: str | None = "sign_in_required"

    def __init__(self, message: str, sign_in_url: str | None = None) -> None:
        """Keep the link beside the sentence, and out of it."""
        super().__init__(message)
        self.sign_in_url = sign_in_url


class SignInTimeout(HubkeyError, TimeoutError):
    """Nobody finished the sign-in in time."""


class SignInDenied(HubkeyError):
    """The sign-in was refused or cancelled in the browser, or by the provider."""


class SignInFailed(HubkeyError):
    """The sign-in ended by a fault; `code` is the broker's word for it."""


class NotAwaited(HubkeyError, AttributeError, TypeError):
    """What was called gives its result to `await` only, and was used without it; nothing has happened yet."""


class LibraryMissing(HubkeyError, ImportError):
    """What was called is for a library that is not installed here; the text says how to install it."""


class OriginWarning(UserWarning):
    """A request went without a token, because its address is not one of the provider's API origins."""
