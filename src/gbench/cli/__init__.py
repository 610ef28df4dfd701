"""The command ``gbench``."""

import os
import sys


def main() -> None:
    """Entry point: mistakes a user can mend end in one sentence and exit code 2, bugs keep their traceback."""
    # threads that wait must sleep: on a machine that is not idle, spinning ones make training ten times slower.
    # It is read once, when torch is imported.
    os.environ.setdefault("OMP_WAIT_POLICY", "passive")
    from gbench.cli.app import app
    from gbench.errors import GbenchError

    try:
        app(prog_name="gbench")
    except GbenchError as error:
        from gbench.cli.follow import process_number

        who = f"process {number}: " if (number := process_number()) else ""
        print(f"error: {who}{error}", file=sys.stderr)
        sys.exit(2)
