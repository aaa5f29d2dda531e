"""The situations of docs/operators.md."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator

from daosup.shm.making import unlink_segment
from tests.integration.role_faults import WRONG_CLOCK
from tests.integration.tcp_proxy import proxy
from tests.integration.test_segment_users import LIBDAO
from tests.integration.unruly import tell
from tests.ports import free_port
from tests.situations.stage import Shown, Stage, situation


@situation(
    "A mirror is stale: no new frames, and nothing is broken",
    why="""
    The link is up, so the network and both workers are well; AGE grows because nobody writes frames at the
    source. `ls` shows the same from the owner: 0 Hz, last written a while ago. The mirror keeps the last
    frame, and goes on by itself with the next one.
    """,
    todo="""
    - Look at the program that writes the segment on its own host: `daosupctl who wfs -H rts` shows who has it
      open.
    - If that program is gone, start it. If it has the segment open and does not write, it waits for something
      else: its trigger, its camera.
    - Nothing has to be done to the mirror.
    """,
    signs=(r"rts:wfs .*running", r"0 Hz.*", r" s ago"),
)
def stale(stage: Stage) -> Iterator[Shown]:
    stage.hosts.start("rts", "lab")
    stage.film("wfs", 100)
    stage.hosts.lab.mirror("rts:wfs").close()
    camera = filming_pid(stage)
    os.kill(camera, signal.SIGSTOP)
    stage.stack.callback(os.kill, camera, signal.SIGCONT)
    stage.until(lambda: (stage.row(stage.hosts.lab, "rts:wfs").get("age_s") or 0) > 8, "the mirror to be stale")  # type: ignore[operator]
    yield stage.seen(stage.hosts.lab, "status")
    yield stage.seen(stage.hosts.lab, "ls", "-v", "rts:wfs")
    yield stage.seen(stage.hosts.lab, "who", "wfs", "-H", "rts")


def filming_pid(stage: Stage) -> int:
    """The process that writes wfs: the only one that has it open and is no worker."""
    found = stage.hosts.rts.call("who", name="wfs")["processes"]
    return int(next(each["pid"] for each in found if each["worker"] is None))


@situation(
    "A port is blocked: the owner is there, and its stream does not come",
    why="""
    The registry tells lab where rts publishes, and lab cannot get there: a firewall drops or refuses the
    port, or rts tells an address that others cannot reach (`network.advertise`; here it is one at which
    nobody listens). Redis is not concerned, so `ls` and `-H` work.
    """,
    todo="""
    - On the owner, see where it publishes: `daosupctl status -H rts`, and what it tells others:
      `network.advertise` in its configuration. `daosupctl doctor` on both hosts tries the addresses.
    - Open the ports in the owner's firewall: `network.base_pub_port` (5560) and the next `network.port_count`
      (2000), TCP.
    - If the address is wrong: correct `network.advertise`, then `systemctl reload daoserver@INSTANCE`.
      Mirrors follow by themselves.
    """,
    signs=(r"does not come;", r"127\.0\.0\.2"),
)
def blocked(stage: Stage) -> Iterator[Shown]:
    stage.hosts.add("rts", advertise="127.0.0.2")
    stage.hosts.start("rts", "lab")
    stage.film("wfs", 100)
    yield stage.told(stage.hosts.lab, "mirror", "rts:wfs", "--wait", "5")
    stage.hosts.lab.call("keep", source="rts:wfs")
    stage.until(lambda: "does not come" in str(stage.row(stage.hosts.lab, "rts:wfs").get("reason")), "a reason")
    time.sleep(2.0)  # no condition: a doctor has patience with what just began
    yield stage.seen(stage.hosts.lab, "status")
    yield stage.seen(stage.hosts.lab, "doctor")
    yield stage.seen(stage.hosts.rts, "doctor")


@situation(
    "Frames come by ZeroMQ: a firewall closes the port where they can be had directly",
    why="""
    Each publisher has two ports, one for ZeroMQ and one where each mirror has a TCP connection of its own;
    the latter are taken from the end of the range in `[network]`. Here a firewall drops what goes to that
    end. Nothing is lost: frames come by ZeroMQ, each some 100 µs later, and large ones with more work for
    both hosts. The log says it once, as the history in `status NAME` does.
    """,
    todo="""
    - On the owner, open all ports of its `[network]` in the firewall: `base_pub_port` (5560) and the next
      `port_count` (2000), TCP.
    - Then nothing: the mirror tries it again every half minute, without a frame lost, and says when frames
      come directly; `daosupctl restart rts:wfs` has it try at once.
    - If those ports are to stay shut: `transport = "zmq"` in `[mirrors]` of this host, or `direct = false` in
      `[publish]` of the owner. Then nobody warns.
    """,
    signs=(r"zmq, not direct: .*does not answer within 1 s", r"warning  direct .*by ZeroMQ", r"do not come directly"),
)
def directly_blocked(stage: Stage) -> Iterator[Shown]:
    outside, first, count = "127.0.0.2", free_port(), 8
    stage.hosts.add("rts", base_port=first, port_count=count, advertise=outside)
    stage.stack.enter_context(proxy(first, outside))
    stage.stack.enter_context(proxy(first + count - 1, outside)).swallow()
    stage.hosts.start("rts", "lab")
    stage.stream()
    yield stage.seen(stage.hosts.lab, "status", "rts:wfs")
    yield stage.seen(stage.hosts.lab, "doctor")


@situation(
    "A worker is quarantined",
    why="""
    It died again and again: nine deaths in a row make a worker `failed`. It is then tried about once a
    minute, and at once when its segment is made anew; no other worker is concerned. Its last words, with a
    traceback if there is one, are in `status NAME`. (Here the publisher was made to raise an exception each
    time it began.)
    """,
    todo="""
    - Read why: `daosupctl status wfs`, and all deaths with `daosupctl logs wfs -p warning`.
    - Take the cause away: a limit that is too low (`[workers]`, `[[worker]]`), a segment that may not be
      read, a full disk.
    - `daosupctl restart wfs` tries it at once rather than at the next try. If the traceback is of daosup
      itself, report it.
    """,
    signs=(r"failed", r"ValueError: told to die", r"next try in"),
)
def quarantined(stage: Stage) -> Iterator[Shown]:
    rts = stage.hosts.add("rts")
    rts.program = "tests.integration.unruly"
    stage.hosts.start("rts", "lab")
    stage.stream()
    tell(rts.runtime, "publisher", "rts:wfs", "die")
    stage.until(lambda: stage.row(rts, "rts:wfs").get("state") == "failed", "the publisher to be failed")
    yield stage.seen(rts, "status")
    yield stage.seen(rts, "status", "wfs")
    yield stage.told(stage.hosts.lab, "status", "rts:wfs")


@situation(
    "Two masters are configured",
    why="""
    There is one master at a time: it holds a lease in Redis, and whoever is configured as a second one does
    not start. It says who is master and ends with exit code 69. Streams do not depend on the master; it only
    takes hosts that are gone out of the registry.
    """,
    todo="""
    - Decide which host it is to be, and give the other one `role = "minion"`, or no role at all: then they
      agree by themselves, and another host takes over if the master ends.
    - To move it to another host now: `daosupd --role master --takeover` there; the present master becomes a
      minion.
    - A host that runs the existing daoServer as master comes first: ours then only keep watch (`status` says
      so).
    """,
    signs=(r"is master", r"exit code 69", r"held by"),
)
def two_masters(stage: Stage) -> Iterator[Shown]:
    rts = stage.hosts.add("rts")
    rts.start("--role", "master", "--takeover")
    lab = stage.hosts.add("lab")
    lab.spawn("--role", "master")
    code = lab.wait()
    (line,) = [each for each in lab.log.splitlines() if each.startswith("daosupd: ")]
    yield stage.said("lab# daosupd --role master", f"{line}\n(exit code {code})")
    lab.start()
    yield stage.seen(lab, "status")


@situation(
    "A host has a wrong clock",
    why="""
    Its clock is an hour ahead of Redis's, the one that all hosts go by. What daosup itself decides (who is
    alive, who is master) goes by Redis's time and by clocks that nobody sets, so it goes on working. But
    write times of its frames are wrong, and with them every AGE and latency that is told of them, here and on
    hosts that mirror them. It never evicts others.
    """,
    todo="""
    - Set the clock, by NTP or PTP: `timedatectl status`, `chronyc tracking`.
    - No restart is needed: the warning goes when the clock is right, within half a minute.
    - If all hosts say so, the clock of the host that runs Redis is the wrong one.
    """,
    signs=(r"off by 1 h", r"clock"),
)
def wrong_clock(stage: Stage) -> Iterator[Shown]:
    stage.hosts.start("rts")
    lab = stage.hosts.add("lab", advertise="127.0.0.3")
    lab.config.write_text(lab.config.read_text().replace('bind = "127.0.0.1"', 'bind = "*"'))
    lab.spawn(before=WRONG_CLOCK.format(ahead_s=3600.0))
    lab.wait_up()
    stage.until(lambda: lab.status()["clock"]["is_off"], "the clock to be found wrong")
    yield stage.seen(lab, "status")
    yield stage.seen(lab, "doctor")


@situation(
    "Redis is away",
    why="""
    Streams go on: frames do not pass Redis. What is missing is news: who came, who asks for what. So nothing
    new can be mirrored, `ls` shows this host alone, and other hosts cannot be asked. Each host tries to
    connect again all the time.
    """,
    todo="""
    - Start Redis again, or open the network to it: the line below `registry` says what is wrong, `daosupctl
      doctor` more.
    - Nothing else: within two seconds all is written down again, also if Redis comes back empty.
    - If it moved: `[redis] host` in the configuration, then `systemctl restart daoserver@INSTANCE`; streams
      go on. `daosupctl discover` finds it if nobody knows where it is.
    """,
    signs=(r"registry down", r"streams go on", r"this host only", r"the registry at .* is away"),
)
def redis_away(stage: Stage) -> Iterator[Shown]:
    stage.hosts.start("rts", "lab")
    stage.stream()
    stage.hosts.redis.stop()
    stage.until(lambda: stage.hosts.lab.status()["registry"]["state"] == "down", "Redis to be missed")
    yield stage.seen(stage.hosts.lab, "status")
    yield stage.seen(stage.hosts.lab, "ls")
    yield stage.told(stage.hosts.lab, "mirror", "rts:dm", "--wait", "1")
    stage.hosts.redis.start()


@situation(
    "A program shows an old picture: its segment was made anew",
    why="""
    The segment was removed and made anew, with another shape say, while the program had it open. Its memory
    is that of the old file, which nobody writes any more, and it sleeps on a semaphore that nobody posts.
    daosup's own workers notice and go on with the new one; programs built on libdao do not.
    """,
    todo="""
    - Restart that program: `who` names it, with its pid.
    - To keep it from happening: have writers open a segment that is there rather than make it anew, as long
      as shape and type stay.
    """,
    signs=(r"removed or made anew since",),
)
def made_anew(stage: Stage) -> Iterator[Shown]:
    stage.hosts.start("rts", "lab")
    filming = stage.film("wfs", 100)
    start(stage, "display.py", LIBDAO, "/wfs_sem03", 0.0)
    unlink_segment(str(stage.hosts.rts.path("wfs")))
    filming.close()
    stage.film("wfs", 100, side=60)
    stage.hosts.lab.mirror("rts:wfs").close()
    time.sleep(1.0)  # no condition: frames are to have come for a while
    yield stage.seen(stage.hosts.rts, "who", "wfs")


@situation(
    "A reader is too slow",
    why="""
    A semaphore holds a post for a frame that nobody has taken yet. A reader that keeps up is ASLEEP most of
    the time; one that is LATE all the time finds the next frame waiting whenever it is done with one, and
    skips what came between. Writers and other readers do not notice: nobody waits for a reader, and the delay
    of its frames does not grow.
    """,
    todo="""
    - Make that program quicker, or give it a core of its own; or let it have every tenth frame only.
    - If SKIP of a mirror grows in `daosupctl status` instead, the network or that worker is too slow: `status
      rts:wfs` tells its latency and CPU.
    - Run `who` with sudo, or it cannot see on what programs of other users wait.
    """,
    signs=(r"is too slow: a frame waited for it",),
)
def too_slow(stage: Stage) -> Iterator[Shown]:
    stage.hosts.start("rts", "lab")
    stage.stream()
    start(stage, "display.py", LIBDAO, "/wfs_sem03", 0.0005)
    start(stage, "recon.py", LIBDAO, "/wfs_sem04", 0.05)
    time.sleep(1.0)  # no condition: they are to have read for a while
    yield stage.seen(stage.hosts.rts, "who", "wfs")


def start(stage: Stage, name: str, program: str, *arguments: object) -> None:
    """A program that has wfs open, and says when it is ready."""
    file = stage.hosts.folder / name
    file.write_text(program)
    command = [sys.executable, str(file), str(stage.hosts.rts.path("wfs")), *map(str, arguments)]
    process = stage.stack.enter_context(subprocess.Popen(command, stdout=subprocess.PIPE))
    stage.stack.callback(process.kill)
    assert process.stdout is not None
    process.stdout.readline()


@situation(
    "A reload is refused",
    why="""
    The file has mistakes. It is refused as a whole, and the configuration from before stays in force; streams
    are not touched. All mistakes are told at once, each with its line.
    """,
    todo="""
    - Correct the lines that are named, and reload again. The names of keys are in
      [configuration.md](configuration.md); a mistyped one gets the nearest.
    - `status` shows the mistakes until the file is right. A daemon that *starts* with such a file ends with
      exit code 78, and systemd does not try it again.
    """,
    signs=(r"did you mean", r"refused, the one before is in force"),
)
def refused(stage: Stage) -> Iterator[Shown]:
    stage.hosts.start("rts", "lab")
    stage.stream()
    lab = stage.hosts.lab
    with lab.config.open("a") as file:
        file.write('\n[worker_limits]\nnice = 5\n\n[log]\nlevel = "verbose"\n')
    yield stage.told(lab, "reload")
    yield stage.seen(lab, "status")


@situation(
    "A host does not answer",
    why="""
    Its daemon does not answer within 3 s, and is still in the registry: it is stopped (here by SIGSTOP),
    overloaded, or its network is cut. Its workers are processes of their own and may well go on: RATE and AGE
    of the mirror say so. A host that is gone for two minutes is taken out of the registry; its mirrors wait
    for it, and go on when it is back.
    """,
    todo="""
    - Log in there: `systemctl status daoserver@INSTANCE`. A daemon that hangs is ended and started again by
      systemd's watchdog after 10 s, and its successor takes the workers over without a frame lost.
    - If you cannot log in, it is the host or its network. What the registry last knew of it is shown.
    - `daosupctl ls` and `--all` list the others meanwhile.
    """,
    signs=(r"no answer within 3 s", r"shown is what the registry knows", r"in the registry"),
)
def no_answer(stage: Stage) -> Iterator[Shown]:
    stage.hosts.start("rts", "lab")
    stage.stream()
    pid = stage.hosts.rts.pid
    os.kill(pid, signal.SIGSTOP)
    try:
        yield stage.told(stage.hosts.lab, "status", "-H", "rts")
        yield stage.seen(stage.hosts.lab, "ls", "rts:*")
        yield stage.seen(stage.hosts.lab, "status")
    finally:
        os.kill(pid, signal.SIGCONT)
