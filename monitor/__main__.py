"""`python -m monitor` is `calmon`.

Guarantees: `calmon run` hears signals from its first line on. Must never: import more than that
needs before it does; the rest takes a second or more.
"""

import sys

from monitor.daemon.signals import end_at_once


def main() -> None:
    """Entry point of the console script."""
    if sys.argv[1:2] == ["run"]:
        end_at_once()
    from monitor.cli import root  # noqa: PLC0415  # see above

    root.main()


if __name__ == "__main__":
    main()
