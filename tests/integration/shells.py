"""Shells in which a test types, and presses Tab."""

from __future__ import annotations

import os
import pty
import re
import shlex
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Optional

import pytest

from tests.waiting import wait_until

DEADLINE_S = 20.0
#: Of daosup's programs.
FOLDER = Path(sys.executable).parent

_ASK_FUNCTION = """
source <(daosupctl completion bash)
$1 "$2" "$3" "$4"
printf '%s\\n' "${COMPREPLY[@]}"
"""
_START = {
    "bash": "bind 'set enable-bracketed-paste off'\n",
    "zsh": "unset zle_bracketed_paste\nautoload -Uz compinit && compinit -u -D\nbindkey -e\n",
}


def environment(socket: Optional[Path] = None, **more: str) -> dict[str, str]:
    """In which the programs are found, and the daemon at ``socket`` is asked."""
    found = {**os.environ, "PATH": f"{FOLDER}:{os.environ['PATH']}", "TERM": "dumb", **more}
    found.pop("DAOSUP_SOCKET", None)
    return {**found, "DAOSUP_SOCKET": str(socket)} if socket else found


def offered_by_bash(line: str, known: dict[str, str], breaks: str = ":=") -> list[str]:
    """What bash's function leaves in COMPREPLY at the end of ``line``: each to replace what follows the last break."""
    # As readline splits: at blanks, and each run of other breaks is a word.
    words = re.findall(rf"[{breaks}]+|[^\s{breaks}]+" if breaks else r"\S+", line)
    words += [""] if line[-1].isspace() else []
    variables = {
        "COMP_LINE": shlex.quote(line),
        "COMP_POINT": len(line),
        "COMP_WORDS": f"({' '.join(map(shlex.quote, words))})",
        "COMP_CWORD": len(words) - 1,
        "COMP_WORDBREAKS": shlex.quote(f" \t\n\"'><;|&({breaks}"),
    }
    program = "".join(f"{name}={value}\n" for name, value in variables.items()) + _ASK_FUNCTION
    done = subprocess.run(
        ["bash", "--norc", "--noprofile", "-c", program, "-", "_daosup", words[0], words[-1], words[-2]],
        env=known,
        capture_output=True,
        text=True,
        timeout=DEADLINE_S,
    )
    assert (done.returncode, done.stderr) == (0, "")
    return [word for word in done.stdout.split("\n") if word]


def line_after_tab(shell: str, typed: str, known: dict[str, str], folder: Path, *, sources: bool = True) -> list[str]:
    """The words of the line that is there when ``typed`` and Tab are typed into an interactive ``shell``.

    Args:
        shell: bash or zsh.
        typed: The beginning of a command.
        known: Its environment.
        folder: Where it starts, its home.
        sources: Whether it reads the script itself at its start.
    """
    if shutil.which(shell) is None:
        pytest.skip(f"there is no {shell} on this machine")
    script = f"source <(daosupctl completion {shell})\n" if sources else ""
    start = folder / f".{shell}rc"
    start.write_text(_START[shell] + script)
    written = folder / "words"
    command = {"bash": ["bash", "--noprofile", "--rcfile", str(start), "-i"], "zsh": ["zsh", "-d", "-i"]}[shell]
    controller, terminal = pty.openpty()
    try:
        with subprocess.Popen(
            command,
            env={**known, "ZDOTDIR": str(folder), "HOME": str(folder), "WRITTEN": str(written)},
            cwd=folder,
            stdin=terminal,
            stdout=terminal,
            stderr=terminal,
            start_new_session=True,
        ) as process:
            os.close(terminal)
            # Then to the start of the line: what is there is not run, but written down word by word.
            os.write(
                controller, f"{typed}\t\x01printf '%s\\n' \x05 >$WRITTEN.new; mv $WRITTEN.new $WRITTEN; exit\n".encode()
            )
            heard = b""
            try:
                while process.poll() is None:
                    heard += os.read(controller, 4096)
            except OSError:  # the terminal is closed
                pass
            assert process.wait(DEADLINE_S) == 0, heard.decode()
    finally:
        os.close(controller)
    wait_until(written.exists, what=f"words in {heard.decode()}")
    return written.read_text().splitlines()
