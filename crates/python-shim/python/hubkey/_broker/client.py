"""A client of the broker, as the environment describes it."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from hubkey._broker.environment import TOKEN_VARIABLE
from hubkey._broker.errors import public_error
from hubkey._hubkey import Broker, ClientError

if TYPE_CHECKING:
    from hubkey._broker.environment import Settings


def open_broker(settings: Settings) -> Broker:
    """Set up the client; connects to nothing yet.

    Raises:
        ConfigurationError: the URL or the certificates cannot be used.
    """
    try:
        # The token never has a name in Python: a traceback with locals would show it.
        return Broker(settings.url, os.environ[TOKEN_VARIABLE], settings.ca_pem)
    except ClientError as failure:
        raise public_error(failure) from None
