"""The commands of daosupctl: what each is called, takes and does."""

from __future__ import annotations

from daosup.ctl import completing, logs, looking, mirroring, running

TYPE_CHECKING = False  # typing's own costs more than all else here
if TYPE_CHECKING:
    from collections.abc import Callable

    from daosup.ctl.arguments import Options

SOURCE = "HOST:NAME"
NAME = "NAME"
SOME_NAME = "[NAME]"
SHELL = "bash|zsh"

# Of which segments an argument is one; a shell offers these.
REMOTE, MIRRORED, HERE, STOPPED = "remote", "mirrored", "here", "stopped"
_AMONG = {SOURCE: REMOTE, NAME: HERE, SOME_NAME: HERE}


class Command:
    """One command.

    Attributes:
        run: Does it; returns the exit code.
        summary: What it does, in a few words.
        name: What its argument is, if it has one: SOURCE, or NAME for a segment of this host as well, in brackets if it
            may be left out; or the words to choose from, joined by ``|``.
        options: Those that not every command has.
        among: Which segments a shell offers for the argument: REMOTE (by default for a SOURCE), MIRRORED, HERE (this
            host's own, and mirrored; by default for a NAME) or STOPPED.
        more: What ``daosupctl COMMAND --help`` says beside, with examples.
    """

    def __init__(
        self,
        run: Callable[[Options], int],
        summary: str,
        name: str = "",
        options: tuple[str, ...] = (),
        *,
        among: str = "",
        more: str,
    ) -> None:
        self.run = run
        self.summary = summary
        self.name = name
        self.options = options
        self.among = among or _AMONG.get(name, "")
        self.more = more


_ABOUT_NAME = """\
NAME is a segment of this host, then it is about its publisher; or HOST:NAME,
then it is about this host's mirror of that source."""


COMMANDS = {
    "status": Command(
        looking.status,
        "how the daemon, registry, segments and workers are",
        more="""\
Exit code 1 tells that the registry is away or a worker does not run.

  daosupctl status
  daosupctl status --json | jq '.workers[] | {source, state, rate_hz}'
""",
    ),
    "ls": Command(
        looking.ls,
        "all hosts of the fleet and their segments",
        more="""\
  daosupctl ls
  daosupctl ls --json
""",
    ),
    "doctor": Command(
        looking.doctor,
        "what is wrong on this host, and what to do about it",
        "",
        ("-v", "--config"),
        more="""\
Looks at daemon, configuration, Redis, clocks, addresses, ports, readers,
mirrors, segments, semaphores, folders and limits; also if the daemon does not
run (give --config FILE if its configuration is not in /etc/daosup). With sudo
it sees more. Exit code: 0 all is well, 1 warnings, 2 problems.

  daosupctl doctor
  daosupctl doctor -v
  daosupctl doctor --json | jq '.findings[] | select(.level == "problem")'
""",
    ),
    "logs": Command(
        logs.logs,
        "what happened, from the journal of systemd",
        SOME_NAME,
        ("-f", "-n", "-p", "-x", "--since", "--host"),
        more="""\
Of a segment or mirror, by its name here; or HOST:NAME, then of what publishes
or shows that source here; else of all. docs/journal.md lists what is told.

  daosupctl logs --since 10min
  daosupctl logs wfs -f
  daosupctl logs rts:wfs -x             with what it means, and what to do
  daosupctl logs -p warning --since today
  daosupctl logs rts:wfs --host lab
  daosupctl logs --json -n 100 | jq -r '.NOTICE'
""",
    ),
    "mirror": Command(
        mirroring.mirror,
        "mirror another host's segment here",
        SOURCE,
        ("--wait", "--keep", "--as", "--write-back"),
        more="""\
Returns when the first frame is there, or fails. The mirror lasts until it is
released or the daemon stops; with --keep it is there after restarts, too. A
name that it is given with --as is its own until it is released.

With --write-back, programs of this host may write into the mirror: that goes to
its source, and from there to all mirrors. It fails if the owner does not allow
it. Asking again without it takes it back.

  daosupctl mirror rts:wfs              have it as remote_rts_wfs
  daosupctl mirror rts:wfs --wait 10    fail if there is no frame within 10 s
  daosupctl mirror rts:wfs --keep       for good
  daosupctl mirror rts:wfs --as wfs     have it under the name of its source
  daosupctl mirror rts:dm --write-back  write to rts's dm from here
""",
    ),
    "keep": Command(
        mirroring.keep,
        "mirror it for good, whenever its host is there",
        SOURCE,
        ("--as", "--write-back"),
        more="""\
Returns at once, although the host may not be there yet. `release` forgets it.
`status` tells whether one with --write-back may be written.

  daosupctl keep rts:wfs
  daosupctl keep rts:dm --write-back
""",
    ),
    "release": Command(
        mirroring.release,
        "give up a mirror, also one that is kept",
        SOURCE,
        among=MIRRORED,
        more="""\
Whoever holds it loses it. One of the configuration cannot be released.

  daosupctl release rts:wfs
""",
    ),
    "stop": Command(
        running.stop,
        "stop publisher or mirror until `start`, over restarts",
        NAME,
        ("--wait",),
        more=f"""\
{_ABOUT_NAME}
A stopped segment is not published although it is read; a stopped mirror's file
stays as it is, marked stale. Returns when the worker has ended.

  daosupctl stop wfs
  daosupctl stop rts:wfs
""",
    ),
    "start": Command(
        running.start,
        "take back a stop",
        NAME,
        ("--wait",),
        among=STOPPED,
        more=f"""\
{_ABOUT_NAME}
Returns when it runs again, or tells why there is nothing to run now.

  daosupctl start wfs
""",
    ),
    "restart": Command(
        running.restart,
        "end a worker and start it anew, also a failed one",
        NAME,
        ("--wait",),
        more=f"""\
{_ABOUT_NAME}
Returns when the new process works. One that waits for its next try is tried at
once.

  daosupctl restart rts:wfs
""",
    ),
    "reload": Command(
        running.reload,
        "have the daemon read its configuration anew",
        more="""\
Refused as a whole, with exit code 78, if anything in it is wrong. Only what
changed is touched; what needs a restart is named. As `systemctl reload`.

  daosupctl reload
""",
    ),
    "reexec": Command(
        running.reexec,
        "have the installed version take over; streams go on",
        more="""\
The daemon becomes the installed version in the same process, with the
configuration as it is now; workers of another version are renewed one by one.

  daosupctl reexec
""",
    ),
    "completion": Command(
        completing.print_script,
        "what makes a shell complete these commands",
        SHELL,
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
