"""Commands about the daemon itself, and what belongs to it."""

from __future__ import annotations

from daosup.ctl.commands.command import EACH, ONE, Command

SERVING: dict[str, Command] = {
    "config": Command(
        "configuration.config",
        "check it, show it",
        "check a configuration, or show the one in force",
        "check|show [FILE]",
        hosts=EACH,
        more="""\
`check` tells every mistake with file and line (exit code 78), and what a reload
of it would change in the running daemon; without FILE, of the daemon's own one.
`show` tells every key that is in force and where it was set: file and line,
command line, default. What it prints is a configuration again. Passwords are
not shown.

  daosupctl config check
  daosupctl config check /tmp/new.toml
  daosupctl config show
  daosupctl config show -H lab
  daosupctl config show --json | jq '.keys[] | select(.origin != null)'
""",
    ),
    "reload": Command(
        "running.reload",
        "read configuration anew",
        "have the daemon read its configuration anew",
        hosts=EACH,
        more="""\
Refused as a whole, with exit code 78, if anything in it is wrong. Only what
changed is touched; what needs a restart is named. As `systemctl reload`.

  daosupctl reload
  daosupctl reload --all                on every host
""",
    ),
    "reexec": Command(
        "running.reexec",
        "go on as the new version",
        "have the installed version take over; streams go on",
        hosts=ONE,
        more="""\
The daemon becomes the installed version in the same process, with the
configuration as it is now; workers of another version are renewed one by one.

  daosupctl reexec
""",
    ),
    "completion": Command(
        "completing.print_script",
        "for the Tab key of a shell",
        "what makes a shell complete these commands",
        "bash|zsh",
        more="""\
Prints what has the Tab key complete commands, options, segments and instances
of daosupctl and daosupd. The packages of daosup install it; elsewhere, write
into ~/.bashrc, or into ~/.zshrc after compinit:

  source <(daosupctl completion bash)
  source <(daosupctl completion zsh)

Segments are those that the daemon tells of; without one, there are none.

  daosupctl completion zsh
""",
    ),
}
