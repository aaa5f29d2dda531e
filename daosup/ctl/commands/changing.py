"""Commands about segments, mirrors and single workers."""

from __future__ import annotations

from daosup.ctl.commands.command import ABOUT_NAME, EVERY, MIRRORED, NAME, ONE, SOURCE, STOPPED, Command

#: In which form frames come.
DELIVERY = ("--frames", "--rate", "--roi", "--stride", "--compress")

CHANGING: dict[str, Command] = {
    "mirror": Command(
        "mirroring.mirror",
        "show another host's here",
        "mirror another host's segment here",
        SOURCE,
        ("--wait", "--keep", "--as", "--write-back", "--transport", "--depth", *DELIVERY),
        hosts=ONE,
        more="""\
Returns when the first frame is there, or fails after 30 s (--wait). It lasts
until it is released or the daemon stops; with --keep it is there after
restarts, too. A name given with --as is its own until it is released, and so is
a --transport: direct is a TCP connection of this mirror alone, zmq is ZeroMQ,
auto is direct where that can be. `status` tells which it is.

With --write-back, programs of this host may write into the mirror: that goes to
its source, and from there to all mirrors. It fails if the owner does not allow
it. Asking again without it takes it back.

With --depth the mirror keeps so many frames, and not as many as its source;
above 1 its layout is fifo. A large frame is then written while it comes, beside
the one before, and not only when it is whole, which takes less time. Programs
that have the mirror open must open it again.

By default the newest whole frame comes, as often as there is one. --frames
every is for recorders: none is left out as long as network and host keep up on
average, and status tells exactly how many were. --rate is for displays, and
spares the network, as do --roi, --stride (the mirror has the shape of what is
left) and --compress. All these need a direct connection: without one the mirror
waits, and status says for what. Those that are given replace those given
before; --frames newest takes them back.

  daosupctl mirror rts:wfs              have it as remote_rts_wfs
  daosupctl mirror rts:wfs --wait 10    fail if there is no frame within 10 s
  daosupctl mirror rts:wfs --keep       for good
  daosupctl mirror rts:wfs --as wfs     have it under the name of its source
  daosupctl mirror rts:dm --write-back  write to rts's dm from here
  daosupctl mirror rts:wfs --rate 10    no more than ten frames a second
  daosupctl mirror rts:cam --roi 0:64,0:64 --compress lz4
  daosupctl mirror rts:wfs -H lab       have the host lab mirror it
""",
    ),
    "keep": Command(
        "mirroring.keep",
        "the same for good",
        "mirror it for good, whenever its host is there",
        SOURCE,
        ("--wait", "--as", "--write-back", "--transport", "--depth", *DELIVERY),
        hosts=ONE,
        more="""\
Returns at once, although the host may not be there yet; with --wait when it
runs, and else tells why not. `release` forgets it. `status` tells whether one
with --write-back may be written.

  daosupctl keep rts:wfs
  daosupctl keep rts:wfs --wait 60
  daosupctl keep rts:dm --write-back
""",
    ),
    "release": Command(
        "mirroring.release",
        "give a mirror up",
        "give up a mirror, also one that is kept",
        SOURCE,
        ("--wait",),
        among=MIRRORED,
        hosts=ONE,
        more="""\
Returns when its worker has ended; --wait says how long that may take. Whoever
holds it loses it. One of the configuration cannot be released.

  daosupctl release rts:wfs
""",
    ),
    "write": Command(
        "copying.write",
        "a file into a segment",
        "write a file's array into a segment, as a frame",
        "NAME FILE",
        ("--wait",),
        among=EVERY,
        more="""\
NAME is a segment of this host; with HOST:NAME it is one of another host, whose
owner must allow that: then it returns when the owner has it. The file is a .npy
file of the segment's shape and dtype; axes of length one do not count.

  daosupctl write rts:dm flat.npy
  daosupctl write dm flat.npy
""",
    ),
    "stop": Command(
        "running.stop",
        "a worker, until start",
        "stop publisher or mirror until `start`, over restarts",
        NAME,
        ("--wait",),
        hosts=ONE,
        more=f"""\
{ABOUT_NAME}
A stopped segment is not published although it is read; a stopped mirror's file
stays as it is, marked stale; without its gate this host hears other nodes, and
is not found by them. Returns when the worker has ended.

  daosupctl stop wfs
  daosupctl stop rts:wfs
""",
    ),
    "start": Command(
        "running.start",
        "take back a stop",
        "take back a stop",
        NAME,
        ("--wait",),
        among=STOPPED,
        hosts=ONE,
        more=f"""\
{ABOUT_NAME}
Returns when it runs again, or tells why there is nothing to run now.

  daosupctl start wfs
""",
    ),
    "restart": Command(
        "running.restart",
        "a worker, also failed ones",
        "end a worker and start it anew, also a failed one",
        NAME,
        ("--wait",),
        hosts=ONE,
        more=f"""\
{ABOUT_NAME}
Returns when the new process works. One that waits for its next try is tried at
once.

  daosupctl restart rts:wfs
  daosupctl restart rts:wfs -H lab      lab's mirror of it
""",
    ),
}
