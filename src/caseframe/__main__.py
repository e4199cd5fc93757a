"""`python -m caseframe`, and the script `caseframe`.

This module must stay light: every worker process imports it again.
"""

from __future__ import annotations

import _signal  # type: ignore[import-not-found]  # of `signal`; needs no import that Ctrl-C could meet


def main() -> None:
    """Run the command line.

    While it loads, Ctrl-C ends the process as it ends any other: there is nothing to put in order,
    and Python would say at length which import it was at.
    """
    if _signal.getsignal(_signal.SIGINT) is _signal.default_int_handler:
        _signal.signal(_signal.SIGINT, _signal.SIG_DFL)
    from caseframe.cli.main import main as run  # noqa: PLC0415 - see above

    run()


if __name__ == "__main__":
    main()
