"""A file with the token: for botocore's web identity, and for other programs that read one."""

from __future__ import annotations

import logging
import os
import re
import secrets
import tempfile
import threading
import time
import weakref
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING

from hubkey._exceptions import BrokerUnavailable, HubkeyError
from hubkey.auth._base import AuthBase

if TYPE_CHECKING:
    from datetime import datetime
    from types import TracebackType

    from typing_extensions import Self

    from hubkey.auth._token_source import TokenSource

# The file is looked after when a quarter of the token's life has passed, within these bounds.
_SHORTEST, _LONGEST = 0.5, 30.0


class TokenFile(AuthBase):
    """A file that holds the newest token for as long as this object is open. Leaving it deletes the file."""

    def __init__(self, connection: TokenSource, path: str | os.PathLike[str] | None = None) -> None:
        """Write the file and begin to look after it; without a path, in a folder of its own."""
        super().__init__(connection)
        if path is None:
            folder = tempfile.mkdtemp(prefix="hubkey-", dir=os.environ.get("XDG_RUNTIME_DIR") or None)
            self._path, made = Path(folder) / "token", Path(folder)
        else:
            self._path, made = Path(path).absolute(), None
        self._closing = threading.Event()
        self._leave = weakref.finalize(self, _leave, self._path, made, self._closing, os.getpid())
        try:
            ends = self.write()
        except BaseException:
            self._leave()
            raise
        _hide_in_botocore()
        keeper = threading.Thread(target=_keep, args=(weakref.ref(self), self._closing, ends), daemon=True)
        keeper.name = "hubkey token file"
        keeper.start()

    @property
    def path(self) -> Path:
        """Where the file is. Its mode is 0600, and it ends without a line break."""
        return self._path

    def __fspath__(self) -> str:
        """Stand for the path."""
        return str(self._path)

    def write(self) -> datetime | None:
        """Write the newest token, so that no reader ever finds half of it; gives when it ends."""
        token, ends = self._connection.token_with_expiry()
        new = self._path.with_name(f".{self._path.name}.{secrets.token_hex(8)}")
        # The mode is set before there is anything to read, whatever the umask is.
        flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW
        try:
            with os.fdopen(os.open(new, flags, 0o600), "w", encoding="ascii") as file:
                file.write(token)
            new.replace(self._path)
        except BaseException:
            new.unlink(missing_ok=True)
            raise
        return ends

    def close(self) -> None:
        """Delete the file. Closing twice is as good as once."""
        self._leave()

    def __enter__(self) -> Self:
        """Give itself."""
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Delete the file."""
        self.close()


def unrestricted_token_file(connection: TokenSource, path: str | os.PathLike[str] | None = None) -> TokenFile:
    """Keep the token in a file, as botocore's web identity wants it (`AWS_WEB_IDENTITY_TOKEN_FILE`).

    ```python
    with hubkey.auth.unrestricted_token_file(lab) as file:
        os.environ["AWS_WEB_IDENTITY_TOKEN_FILE"] = str(file.path)
        os.environ["AWS_ROLE_ARN"] = "arn:aws:iam::123456789012:role/lab"
        boto3.client("s3").list_buckets()
    ```

    The file is replaced as a whole before its token ends, has mode 0600, and is deleted when it is closed, when the
    object is forgotten, and at the end of Python.

    Unrestricted: whoever can read the file as you do has the token and can send it anywhere. It is the connection's
    access token, not an ID token: connect with the `audience` that the other side expects.
    """
    return TokenFile(connection, path)


def _keep(owner: weakref.ref[TokenFile], closing: threading.Event, ends: datetime | None) -> None:
    """Write the file anew in time. A reading program cannot be seen, so this goes on until the file is closed."""
    while not closing.wait(_pause(ends)):
        file = owner()
        if file is None:
            return
        try:
            ends = file.write()
        except (BrokerUnavailable, OSError):
            ends = _still(ends, file)
        except HubkeyError:
            # A person has to sign in; who uses the connection next is told. A dead token helps no reader.
            file.close()
            return
        del file


def _still(ends: datetime | None, file: TokenFile) -> datetime | None:
    """Say that the old token is still there, and take it away when it has ended."""
    if ends is not None and ends.timestamp() <= time.time():
        file.path.unlink(missing_ok=True)
    return ends


def _pause(ends: datetime | None) -> float:
    left = _LONGEST if ends is None else (ends.timestamp() - time.time()) / 4
    return min(max(left, _SHORTEST), _LONGEST)


def _leave(path: Path, folder: Path | None, closing: threading.Event, process: int) -> None:
    closing.set()
    # A fork leaves it to its parent.
    if os.getpid() != process:
        return
    with suppress(OSError):
        path.unlink(missing_ok=True)
        if folder is not None:
            folder.rmdir()


class _Hiding(logging.Filter):
    """botocore writes whole requests into its debug log, with the token that it read."""

    _value = re.compile(r"""(WebIdentityToken['"]?\s*[:=]\s*)('[^']*'|"[^"]*"|[^\s&,}]+)""")

    def filter(self, record: logging.LogRecord) -> bool:
        text = record.getMessage()
        if "WebIdentityToken" in text:
            record.msg, record.args = self._value.sub(r"\1<hidden token>", text), None
        return True


_HIDING = _Hiding()


def _hide_in_botocore() -> None:
    # Added once: a logger ignores a filter that it has.
    logging.getLogger("botocore.endpoint").addFilter(_HIDING)
