# SPDX-License-Identifier: MIT
"""The entry point: what a user can put right ends in one line on stderr and exit code 2.

Little is imported before Ctrl-C is taken care of: all the rest comes with the command line.
"""

from __future__ import annotations

import os
import signal
import sys
import threading
import time
from types import FrameType

INTERRUPTED = "interrupted; what is recorded is whole, and the same command goes on where it can"
_STOPPED = 130


class _Interrupts:
    """What Ctrl-C does: it stops the command once; one more soon after would only break off the stopping.

    An interrupt that falls into code of which Python takes no exception (a finaliser, a callback of the imports) is
    not lost with a traceback: it comes again a moment later.
    """

    PATIENCE = 3.0
    """Seconds in which a second Ctrl-C has nothing to add; after them it interrupts what still goes on."""

    def __init__(self) -> None:
        self._last = -self.PATIENCE
        self._unraisable = sys.unraisablehook

    def take(self) -> None:
        """Answer Ctrl-C from now on, if somebody listens to it at all: a shell's background job ignores it."""
        if signal.getsignal(signal.SIGINT) is signal.default_int_handler:
            signal.signal(signal.SIGINT, self._interrupt)
            sys.unraisablehook = self._swallowed

    def _interrupt(self, number: int, frame: FrameType | None) -> None:
        if time.monotonic() - self._last >= self.PATIENCE:
            self._last = time.monotonic()
            raise KeyboardInterrupt

    def _swallowed(self, what: sys.UnraisableHookArgs) -> None:
        if not issubclass(what.exc_type, KeyboardInterrupt):
            self._unraisable(what)
            return
        self._last = -self.PATIENCE
        again = threading.Timer(0.05, signal.pthread_kill, (threading.get_ident(), signal.SIGINT))
        again.daemon = True
        again.start()


def main() -> None:
    """Run the command line."""
    try:
        interrupts = _Interrupts()
        interrupts.take()
        os.umask(0o077)  # whatever a command writes is its owner's alone
        from fedlethe.cli.entry import run

        code, message = run(sys.argv[1:])
    except KeyboardInterrupt:
        code, message = _STOPPED, None
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # it ends already: a second Ctrl-C has nothing to add
    # Ctrl-C inside an `exec` or `eval` of a library leaves a mark, at which Python ends itself by a signal after all is
    # done, instead of with our exit code. The next `eval` clears it.
    eval("None")
    if code == _STOPPED:
        code, message = 2, INTERRUPTED
    if message is not None:
        from fedlethe.text import shown

        print("fedlethe:", " ".join(shown(message, lines=True).split()), file=sys.stderr)
    sys.exit(code)


if __name__ == "__main__":
    main()
