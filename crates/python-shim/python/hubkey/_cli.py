"""The `hubkey` command. All of it is compiled; this is its way in."""

from __future__ import annotations

import signal
import sys

from hubkey._hubkey import run_command


def main() -> int:
    """Run the command with this process's arguments, and give its exit code."""
    # Python would note Ctrl-C and act on it when the command has ended. The command hears it where it has something to
    # cancel, and ends by it everywhere else; one that is ignored, as in the background of a shell, stays ignored.
    if signal.getsignal(signal.SIGINT) is signal.default_int_handler:
        signal.signal(signal.SIGINT, signal.SIG_DFL)
    return run_command(sys.argv)
