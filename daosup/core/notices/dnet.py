"""Notices of nodes of DAO's own network service, which `[dnet]` lets this host hear and be heard by."""

from __future__ import annotations

from daosup.core.notices.notice import Notice
from daosup.core.notices.running import NOTHING

NODE_HEARD = Notice(
    "node-heard",
    "b6bccd14f4a34cb5be9329deb29f2c33",
    "info",
    "node of DAO's network service heard",
    "The beacon of PEER comes from PEER_IP. Its segments can be mirrored as those of other hosts.",
    NOTHING,
)
NODE_LOST = Notice(
    "node-lost",
    "91400bb503b74b9aad17c064d859b681",
    "info",
    "node of DAO's network service not heard any more",
    "No beacon of PEER came for 6 seconds. Mirrors of its segments go on as long as their own connections last, and "
    "connect again when it is back.",
    "Nothing, if that host was stopped; else see whether its service runs, and whether the network still passes "
    "multicast on.",
)
NODE_NAME_SHARED = Notice(
    "node-name-shared",
    "d55571ce327c46afa745989dc0b30f96",
    "warning",
    "two nodes of DAO's network service have one name",
    "PEER is heard from PEER_IP and from OTHER_IP, and both are there. The first one is meant by that name here.",
    "Give one of the two another name.",
)
NODES_TOO_MANY = Notice(
    "nodes-too-many",
    "8023f9f2f467453ba19de2f211ac9fd3",
    "warning",
    "too many nodes of DAO's network service",
    "So many nodes are heard, MOST, that PEER and others are not listened to.",
    "Find out who sends so many beacons; or give groups of hosts domains of their own (dnet.domain).",
)
NODES_UNHEARD = Notice(
    "nodes-unheard",
    "25047c0e274443859baae9c1c8c75fc7",
    "warning",
    "nodes of DAO's network service cannot be listened to",
    "The multicast group GROUP cannot be joined; REASON says why. It is tried again every 2 seconds.",
    "See that the network is up, and that dnet.interface, if it is set, is an address of this host.",
)
NODES_UNTOLD = Notice(
    "nodes-untold",
    "3f5b213d11af4abaa7a591eb51124425",
    "warning",
    "nodes of DAO's network service are not told what this host has",
    "The list for the gate cannot be written; REASON says why. What it told before goes on. It is tried again every 2 "
    "seconds.",
    "Make room in runtime_folder.",
)
BEACONS_UNSENT = Notice(
    "beacons-unsent",
    "ce367cd8817b40bc8280078c6fcc56d1",
    "warning",
    "nodes of DAO's network service cannot find this host",
    "The gate cannot tell them that this host is there; REASON says why. It is tried again every second. Who knows "
    "this host forgets it after 6 seconds; streams go on.",
    "See that the network is up, and that dnet.interface, if it is set, is an address of this host.",
)
BEACONS_SENT = Notice(
    "beacons-sent",
    "ef0bffedec1f43dd9878a0c72f74fcba",
    "info",
    "nodes of DAO's network service can find this host again",
    "The gate tells them again that this host is there.",
    NOTHING,
)
