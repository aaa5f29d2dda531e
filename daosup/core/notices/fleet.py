"""Notices of how a host stands with the registry and with the other hosts: Redis, the master's lease, clocks."""

from __future__ import annotations

from daosup.core.notices.notice import Notice
from daosup.core.notices.running import NOTHING

REGISTRY_CONNECTED = Notice(
    "registry-connected",
    "029badc5b32d4500b85e477b6141924d",
    "info",
    "registry connected",
    "Redis answers, for the first time or again, and takes what is written. SERVER is its address.",
    NOTHING,
    is_event=True,
)
REGISTRY_AWAY = Notice(
    "registry-away",
    "836118ce2d254a9eae05e1c33f76ad8d",
    "warning",
    "registry away; streams go on",
    "Redis does not answer, or refuses what daosupd asks; REASON says how. Mirrors and publishers that run go on; new "
    "ones of other hosts cannot be had. It is tried again at least every second.",
    "See that Redis runs and can be reached (daosupctl doctor). daosupd mends all by itself when it is back.",
    is_event=True,
)
HOST_FORGOTTEN = Notice(
    "host-forgotten",
    "27397f3b99a142808ef85e85c4bb5e75",
    "warning",
    "the registry forgot this host; announcing it anew",
    "What daosupd wrote into Redis was not there any more: Redis was restarted empty or flushed, or this host was "
    "removed.",
    "Nothing for this host. Find out who empties Redis; nothing else should use its keys dao:*.",
    is_event=True,
)
HOST_NAME_SHARED = Notice(
    "host-name-shared",
    "bb739a9123ef4b4a9828cb44e4a6022e",
    "warning",
    "another daosupd uses this host's name; announcing it anew",
    "A second process writes itself into Redis under the same host name; PEER_PID and PEER_IP say which. The one that "
    "started later ends.",
    "Give one of the two another name (host in its configuration). After a crash it may be the process before "
    "this one; then it is over at once.",
    is_event=True,
)
ROLE_CHANGED = Notice(
    "role-changed",
    "e6d27389fd8944078e83f1a746ff169e",
    "info",
    "role of this host",
    "This host is from now on what ROLE says. The master removes hosts that vanished; nothing else depends on it.",
    NOTHING,
    is_event=True,
)
LEASE_TAKEN = Notice(
    "lease-taken",
    "81c04e95b2744e9aacbd344d3a072407",
    "info",
    "lease taken",
    "This host holds the master's lease, with the number EPOCH.",
    NOTHING,
)
LEASE_TAKING_OVER = Notice(
    "lease-taking-over",
    "f60fd9b9dd6540c685eb16e24aa1d66d",
    "warning",
    "taking the lease over",
    "This host was started with --takeover and takes the master's lease from PEER, which becomes a minion.",
    "Nothing, if that was meant.",
    is_event=True,
)
LEASE_TAKEN_OVER = Notice(
    "lease-taken-over",
    "b8bb951e93444911bb6b8cd46178e7ce",
    "warning",
    "lease lost: another took it",
    "PEER is master now, and this host a minion.",
    "Nothing, if somebody started PEER with --takeover; else see why this host did not renew its lease.",
    is_event=True,
)
LEASE_LOST = Notice(
    "lease-lost",
    "ee61106113c343ae84fdbc6767c93e53",
    "warning",
    "lease lost: the registry forgot it, or it was not renewed in time",
    "This host was master and found its lease gone. It takes it again unless another is quicker.",
    "If it repeats, see whether Redis is emptied, or this host or Redis is too slow.",
    is_event=True,
)
LEASE_RAN_OUT = Notice(
    "lease-ran-out",
    "7423f822f2c34a55bbae2321f7b7f6df",
    "warning",
    "the lease ran out unrenewed; no longer master",
    "Redis could not be asked in time to renew the lease, so this host does not act as master any more.",
    "See why Redis is away. A host that reaches it becomes master.",
    is_event=True,
)
LEASE_REFUSED = Notice(
    "lease-refused",
    "f931ae8d8243485885081c5331fd9912",
    "error",
    "refused: the lease of this epoch is over; nothing was done",
    "This host wanted to act as master (ACT), but another has the lease meanwhile, and Redis refused it. No harm is "
    "done.",
    "If it repeats, see whether this host was frozen or its clock runs wrong.",
)
OLD_MASTER = Notice(
    "old-master",
    "d8786b4820564ce7a55f76916c1befd6",
    "info",
    "a daemon without leases is master; this host stays minion and keeps watch",
    "PEER runs the existing daemon and calls itself master, and this host has no configured role.",
    NOTHING,
    is_event=True,
)
TWO_MASTERS = Notice(
    "two-masters",
    "e71db331c5684ac3ad42803dff89600d",
    "warning",
    "a daemon without leases calls itself master too; stop it or make it a minion",
    "PEER runs the existing daemon and calls itself master, and this host is configured as master.",
    "Start PEER as a minion, or give this host another role.",
    is_event=True,
)
HOST_EVICTED = Notice(
    "host-evicted",
    "1dd8964554aa4ae684693e3085c7778d",
    "warning",
    "host evicted: it gave no sign of life",
    "PEER, which runs the existing daemon, did not renew its sign of life for SILENT_S seconds; this host, as master, "
    "removed it from Redis.",
    "See whether PEER runs; it comes back by itself when its daemon does.",
    is_event=True,
)
HOST_SEEN = Notice(
    "host-seen",
    "012f4b12ea10423e8b69fc534762cd6b",
    "info",
    "host seen",
    "PEER is in the registry, for the first time or again. The holder of the master's lease tells this of other hosts.",
    NOTHING,
    is_event=True,
)
HOST_LOST = Notice(
    "host-lost",
    "de8fde7c023d4556b2e42ec48c1ebff6",
    "warning",
    "host lost: what it wrote into the registry expired",
    "PEER did not renew what it wrote into Redis until that expired, and did not take it back as a daosupd does that "
    "stops: it was switched off, cut off from Redis, or its daosupd crashed and did not start again.",
    "See whether PEER and its daosupd run: systemctl status daosup.slice there. It comes back by itself.",
    is_event=True,
)
CLOCK_OFF = Notice(
    "clock-off",
    "21e951a15275444186a28a22fc713367",
    "warning",
    "this host's clock is off; set it (NTP), or ages and times in logs mislead",
    "It differs from Redis's by OFFSET_S seconds. Nothing is decided by it, but the ages of frames are wrong.",
    "Set the clock: timedatectl, chronyc tracking. If many hosts say this, it is that of the Redis server.",
    is_event=True,
)
CLOCK_RIGHT = Notice(
    "clock-right",
    "8593bb041a1e48cd9527d9aef7ccdd16",
    "info",
    "this host's clock is right again",
    "It agrees with that of the Redis server again.",
    NOTHING,
    is_event=True,
)
PEER_CLOCK_OFF = Notice(
    "peer-clock-off",
    "5ae944bc05e247419381bfd04d200b69",
    "warning",
    "a host's clock is off; it is judged by Redis's",
    "The stamps of PEER, which runs the existing daemon, differ from Redis's clock by OFFSET_S seconds.",
    "Set the clock of PEER.",
    is_event=True,
)
PEER_CLOCK_RIGHT = Notice(
    "peer-clock-right",
    "01857d0e13d845da99fc10d9e6e4881d",
    "info",
    "a host's clock is right again",
    "The stamps of PEER agree with Redis's clock again.",
    NOTHING,
    is_event=True,
)
SECRET_REFUSED = Notice(
    "secret-refused",
    "2bc9f2a351a044b7be468b8b00038f4f",
    "error",
    "the secret is refused; remote control is off",
    "The file that secret_file in [control] names cannot be used; REASON says why. All else goes on; this host takes "
    "no orders of other hosts and gives none.",
    "Do what REASON says, then reload: systemctl reload daoserver@INSTANCE",
    is_event=True,
)
ORDER_TAKEN = Notice(
    "order-taken",
    "d2856d8db0474f76802b999c553ded29",
    "info",
    "another host changes something here",
    "Somebody who may do so on PEER had COMMAND carried out here (daosupctl -H); the order was signed with the secret "
    "of both hosts. ABOUT is the segment, if it is about one.",
    NOTHING,
    is_event=True,
)
ORDER_REFUSED = Notice(
    "order-refused",
    "10eebbada06447b0818173221e8ffa21",
    "warning",
    "an order of another host is refused",
    "COMMAND came through Redis in the name of PEER, but is not proven to be an order of it; REASON says why. Nothing "
    "was done.",
    "If somebody of yours tried it, see that secret_file in [control] is the same on both hosts. Else find out who can "
    "write to Redis.",
    is_event=True,
)
