"""Commands that change nothing."""

from __future__ import annotations

from daosup.ctl.commands.command import ABOUT_NAME, EACH, EVERY, NAME, ONE, SOME_NAME, Command

LOOKING: dict[str, Command] = {
    "status": Command(
        "looking.status",
        "daemon and workers",
        "how the daemon, registry, segments and workers are, or all of one worker",
        SOME_NAME,
        ("-v", "--watch"),
        hosts=EACH,
        more=f"""\
{ABOUT_NAME}
A mirror may be named by its own segment, too. The table has as many columns as
there is room for; AGE is that of the newest frame, P50 and P99 how late half
and 99 % of the last ten seconds' frames were from written to sent (publisher)
or here (mirror). MEMORY is what is in RAM (RSS), shared or not. docs/json.md
says what --json prints. Exit code 1 tells that the registry is away or a worker
does not run, 69 with --all also that a host does not answer.

  daosupctl status
  daosupctl status rts:wfs              its process, limits, keywords, history
  daosupctl status -v                   times of day, too
  daosupctl status --watch              again every second, until the key q
  daosupctl status rts:wfs --watch 0.5
  daosupctl status -H lab               of the host lab, through the registry
  daosupctl status --all
  daosupctl status --json | jq '.workers[] | {{source, state, rate_hz}}'
""",
    ),
    "ls": Command(
        "segments.ls",
        "segments of all hosts",
        "the segments of all hosts",
        "[GLOB]",
        ("-v",),
        more="""\
GLOB is a pattern of HOST:NAME, or of NAME on every host; quote it. Hosts are
listed if there is none, or with -v. Rates are counted by each host's daemon for
half a second; for a host that does not answer, what the registry knows is shown
and that is said. WRITERS are hosts that write to it from their mirrors.

  daosupctl ls
  daosupctl ls 'rts*:wfs*'
  daosupctl ls -v 'dm*'
  daosupctl ls --json | jq '.[].segments[] | select(.rate_hz > 100)'
""",
    ),
    "who": Command(
        "who.who",
        "who has a segment open",
        "which processes have a segment open, and who keeps up",
        NAME,
        hosts=ONE,
        more="""\
NAME is a segment of this host, HOST:NAME this host's mirror of that source; a
file, as /tmp/wfs.im.shm, is looked at also without a daemon.

ASLEEP is how much of half a second the process slept on its semaphore: it keeps
up. LATE is how much of it a frame waited for it: one that is late all the time
is too slow, and skips frames. BEHIND is how many frames, where that is known.
What others do can be seen by root only; who cannot be seen is counted.

  daosupctl who wfs
  sudo daosupctl who rts:wfs
  daosupctl who wfs -H rts
  daosupctl who wfs --json | jq '.processes[] | {pid, command, late}'
""",
    ),
    "top": Command(
        "top.living.top",
        "workers, living, with keys",
        "show workers on a whole screen, and act on them",
        hosts=ONE,
        more="""\
  up, down, page up, page down, home, end   select a worker
  enter   its story: last exit, limits, readers or owner, keywords, history
  v       its segment as a picture, as daosupctl view
  R S     restart it; stop it until it is started, or start it
  < > r   sort by another column, or the other way round; at first, what is
          not well is on top
  /       show those whose kind, source, state or peer contain a text; or whose
          source matches a glob like rts:*
  q       leave

  daosupctl top
  daosupctl top -H lab
""",
    ),
    "view": Command(
        "view.view",
        "a segment as a picture",
        "show a segment's frames in the terminal",
        NAME,
        ("--once", "--png", "--wait"),
        among=EVERY,
        more="""\
NAME is a segment of this host, HOST:NAME one of any host, which is mirrored
here for as long as it is shown, or a file with a path. Images are drawn in
colours, vectors as bars or a trace. It skips frames rather than to fall behind,
also over a slow line. Without a terminal it shows one frame.

  q quit            + - contrast    0 reset        space hold the picture
  l logarithmic     k lock scale    t bars, trace  [ ] plane, of three axes

  daosupctl view rts:wfs
  daosupctl view wfs --once
  daosupctl view rts:wfs --png wfs.png
  daosupctl view rts:wfs --json | jq '.mean, .std'
""",
    ),
    "dump": Command(
        "copying.dump",
        "its newest frame as a file",
        "write a segment's newest frame into a file",
        "NAME FILE",
        ("--wait",),
        among=EVERY,
        more="""\
HOST:NAME or NAME, as for view. The file's name ends in .npy for NumPy or in
.fits, whose header then tells when the frame was written, its counter, and the
segment's keywords. A segment that was never written is waited for.

  daosupctl dump rts:wfs wfs.fits
  daosupctl dump dm dm.npy --wait 5
""",
    ),
    "doctor": Command(
        "looking.doctor",
        "what is wrong, what to do",
        "what is wrong on this host, and what to do about it",
        "",
        ("-v", "--config"),
        hosts=EACH,
        more="""\
Looks at daemon, configuration, Redis, clocks, addresses, ports, readers,
mirrors, segments, semaphores, folders and limits; also if the daemon does not
run (give --config FILE if its configuration is not in /etc/daosup). With sudo
it sees more. Exit code: 0 all is well, 1 warnings, 2 problems.

  daosupctl doctor
  daosupctl doctor -v
  daosupctl doctor --all                every host's daemon has its own look
  daosupctl doctor --json | jq '.findings[] | select(.level == "problem")'
""",
    ),
    "logs": Command(
        "logs.logs",
        "what happened, in words",
        "what happened, from the journal of systemd",
        SOME_NAME,
        ("-f", "-n", "-p", "-x", "--since"),
        hosts=EACH,
        more="""\
Of a segment or mirror, by its name here; or HOST:NAME, then of what publishes
or shows that source here; else of all. docs/journal.md lists what is told.
Those of other hosts are told by their daemons, or else read by ssh (-H alone);
with --all in the order in which they were written, by Redis's clock.

  daosupctl logs --since 10min
  daosupctl logs wfs -f
  daosupctl logs rts:wfs -x             with what it means, and what to do
  daosupctl logs -p warning --since today
  daosupctl logs rts:wfs -H lab
  daosupctl logs --all -f -p warning
  daosupctl logs --json -n 100 | jq -r '.NOTICE'
""",
    ),
    "bench": Command(
        "benching.bench",
        "the way to another host",
        "measure latency and throughput between this host and another",
        "HOST",
        more="""\
Prints a table for a report: for frames of several sizes how long they take from
a segment of HOST to its mirror here, and how many a second arrive. By the real
path: publisher there, network, mirror here. Takes about half a minute, and
loads both hosts and the network between them.

What is made for it ends with it. It needs the right to change things there
(secret_file in [control] of both hosts).

  daosupctl bench rts
  daosupctl bench rts --json | jq '.sizes[] | {frame_bytes, latency_p99_s}'
""",
    ),
    "events": Command(
        "events.events",
        "what happens on all hosts",
        "what happens on all hosts: the fleet's events",
        SOME_NAME,
        ("-f", "-n", "-p", "-v", "--since", "--exec"),
        more="""\
The last 50; with -n the last N, with --since all since then, with -f the last
10 and those to come. NAME is a pattern of segments; or HOST:NAME, of sources or
of mirrors where they are; HOST:* is all that concerns a host. With --json, one
object a line; with -v, all that is known. docs/journal.md lists what happens.

With --exec, CMD is run for each event that is shown, one after the other, and
not by a shell; with -f only for those to come, unless -n or --since is given.
[[hook]] in the configuration has the daemon do that.

  daosupctl events
  daosupctl events -f -p warning
  daosupctl events 'rts:*' --since 1h
  daosupctl events 'wfs*' -n 20 -v
  daosupctl events --since today --json | jq -r .event
  daosupctl events -f --exec ./page-me
""",
    ),
    "discover": Command(
        "discover.discover",
        "Redis on these networks",
        "find the Redis servers of the local networks",
        "[NETWORK]",
        ("--port",),
        more="""\
Tries one port of every address of the networks that this machine is in, of each
at most the 256 addresses around its own; or of NETWORK, also at most 256. Each
is asked PING and INFO; one that answers, and holds at most 100000 keys, which
hosts are registered there. Nothing is written. Takes a few seconds, and needs
no daemon. Networks have watchers: tell who runs yours before.

  daosupctl discover
  daosupctl discover 192.168.64.0/24 --port 6380
  daosupctl discover 10.0.3.7 --json
""",
    ),
}
