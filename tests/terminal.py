"""A terminal to run commands on."""

import os
import pty
import subprocess
from collections.abc import Sequence


def waits_for(command: Sequence[str], text: bytes) -> bytes:
    """What a command prints on a pipe, once it has shown ``text`` on the terminal that its standard error is."""
    ours, theirs = pty.openpty()
    with subprocess.Popen(command, stderr=theirs, stdout=subprocess.PIPE, env={**os.environ, "TERM": "xterm"}) as shown:
        os.close(theirs)
        seen = b""
        while text not in seen:
            seen += os.read(ours, 1024)
        output, _ = shown.communicate()
    os.close(ours)
    return output
