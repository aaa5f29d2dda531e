"""What all our ZeroMQ sockets have in common: queues, buffers, and how an end that is gone is noticed.

Invariant: an end that is silent for ``HEARTBEAT_MS + HEARTBEAT_TIMEOUT_MS`` is gone, though nobody closed its
connection; who connects tries again at once and for ever.

libzmq 4.3.5 ends its process where heartbeats are said on a connection whose queue of what has come is full: when it
is lost meanwhile (``!_io_error``), or has not been answered (``_input_stopped``, libzmq's issue 3937). So who listens
has a queue that is never full; and who reads says none, and connects anew himself when he hears nothing.
"""

from __future__ import annotations

import socket
from contextlib import suppress

import zmq

Options = dict[zmq.SocketOption, int]

#: What may wait for one reader at the sender, in bytes, and its bounds in frames: two, or small ones that take no time.
#: On a line that is too slow, or for a reader that takes one after the other, each makes the frames older.
QUEUE_BYTES = 64 * 1024
QUEUE_FRAMES = (2, 32)
#: What may wait at a reader of ours, which takes all of it at once and goes on with the newest: none is late for it.
RECEIVED_FRAMES = 8
#: What the kernel may hold of a stream that the network has not taken yet, if that is less than a frame; and at least.
#: The kernel asks for more when half of it is left, so of a large frame it must be more than goes while libzmq wakes.
UNSENT_BYTES = (16 * 1024, 512 * 1024)
#: What may be under way to an owner, likewise.
_WRITTEN_BYTES = 4 * 1024 * 1024
_WRITTEN_FRAMES = (2, 256)
HEARTBEAT_MS = 500
HEARTBEAT_TIMEOUT_MS = 2000
#: Whoever connects says who he is within this time; else a connection that was cut in between would block for 30 s.
HANDSHAKE_MS = 1000
#: Where packets vanish the kernel tries ever less often: a network that is back would not be seen for long.
RECONNECT_MS = 20
RECONNECT_MAX_MS = 250
#: A network that swallows packets answers none; the kernel alone would ask again after 1, 3, 7, 15, ... s.
CONNECT_MS = 500
#: Of Linux; Python knows it where the headers did that it was built with.
_TCP_NOTSENT_LOWAT = 25
#: The longest a receive waits before it returns with nothing.
WAIT_MS = 250

#: For a socket that listens, and for one that connects.
LISTENING = {
    zmq.LINGER: 0,
    zmq.HEARTBEAT_IVL: HEARTBEAT_MS,
    zmq.HEARTBEAT_TIMEOUT: HEARTBEAT_TIMEOUT_MS,
    zmq.HANDSHAKE_IVL: HANDSHAKE_MS,
    zmq.TCP_KEEPALIVE: 1,
    zmq.RCVHWM: 0,
}
CONNECTING = {
    **LISTENING,
    zmq.RECONNECT_IVL: RECONNECT_MS,
    zmq.RECONNECT_IVL_MAX: RECONNECT_MAX_MS,
    zmq.CONNECT_TIMEOUT: CONNECT_MS,
}
#: For one that connects to take frames. What the kernel may hold of them there is left to it: it makes that as long as
#: the line is, and none is late for it where all that has arrived is taken.
RECEIVING = {
    **CONNECTING,
    zmq.HEARTBEAT_IVL: 0,
    zmq.RCVHWM: RECEIVED_FRAMES,
    zmq.RCVTIMEO: WAIT_MS,
}


def queue_frames(frame_bytes: int) -> int:
    """How many frames of a size may wait for a reader at the sender.

    To be set before there is a connection: libzmq's account of a queue whose limit changes meanwhile can stand still.
    """
    return _frames(frame_bytes, QUEUE_BYTES, QUEUE_FRAMES)


def written_frames(frame_bytes: int) -> int:
    """How many frames of a size that are written back may be under way to their owner."""
    return _frames(frame_bytes, _WRITTEN_BYTES, _WRITTEN_FRAMES)


def _frames(frame_bytes: int, most_bytes: int, bounds: tuple[int, int]) -> int:
    fewest, most = bounds
    return max(fewest, min(most, most_bytes // frame_bytes))


def socket_buffer_bytes(frame_bytes: int) -> int:
    """How much the kernel may hold of a stream whose readers take one frame after the other: two, within reason."""
    return max(128 * 1024, min(8 * 1024 * 1024, 2 * frame_bytes))


def unsent_bytes(frame_bytes: int) -> int:
    """How much the kernel may hold of a stream that the network has not taken yet: a frame, within reason."""
    fewest, most = UNSENT_BYTES
    return max(fewest, min(most, frame_bytes))


def bound_unsent(fd: int, frame_bytes: int) -> None:
    """Have the kernel hold no more than that for a connection of libzmq's.

    What is on its way is not bounded by this, so a line may be as long as it is. The descriptor is libzmq's, which may
    have closed it meanwhile; then it is at most another connection of this process, which none of this harms. It is
    never closed here, whatever signal comes in between: libzmq would end the process.
    """
    with suppress(OSError), socket.fromfd(fd, socket.AF_INET, socket.SOCK_STREAM) as connection:
        connection.setsockopt(socket.IPPROTO_TCP, _TCP_NOTSENT_LOWAT, unsent_bytes(frame_bytes))


def put_options(socket: zmq.Socket[bytes], options: Options) -> None:
    """Set a socket's options."""
    for option, value in options.items():
        socket.setsockopt(option, value)
