"""Where a queue is full and its connection is lost, both ends go on: libzmq would end their processes."""

from __future__ import annotations

import os
import subprocess
import sys

#: As our sockets are, but that what they do each half second they do each 20 ms.
READER = """
import itertools, threading, time
import zmq
from daosup.stream import receiver, sender, sockets

for options in (sockets.LISTENING, sockets.RECEIVING):
    if options[zmq.HEARTBEAT_IVL]:
        options.update({zmq.HEARTBEAT_IVL: 20, zmq.HEARTBEAT_TIMEOUT: 30})
    options[zmq.RECONNECT_IVL] = 1
owner = sender.Sender("127.0.0.1", [0], 65536)

def publish():
    while True:
        owner.hear()
        try:
            owner.send(b"DAO2" + bytes(65536))
        except zmq.Again:
            pass
        time.sleep(0.0002)

threading.Thread(target=publish, daemon=True).start()
reader = receiver.Receiver(f"tcp://127.0.0.1:{owner.port}", lambda message: None)
came, until_s = 0, time.monotonic() + 60
for pause_s in itertools.cycle((0.0, 0.031, 0.05, 0.055, 0.06, 0.1, 0.13)):
    time.sleep(pause_s)
    came += reader.receive() is not None
    if came >= 100 or time.monotonic() > until_s:
        break
print(came)
"""


def test_a_reader_that_lags_while_its_connection_is_lost_goes_on() -> None:
    ended = subprocess.run(
        [sys.executable, "-c", READER], capture_output=True, text=True, timeout=120, env={**os.environ}, check=False
    )
    assert (ended.returncode, ended.stdout.strip()) == (0, "100"), ended.stderr


#: A stranger who says more than is listened to, and is gone; and who was it all the time.
OWNER = """
import contextlib, socket, time
import zmq
from daosup.stream import sender, sockets

sockets.LISTENING.update({zmq.HEARTBEAT_IVL: 20, zmq.HEARTBEAT_TIMEOUT: 30})
owner = sender.Sender("127.0.0.1", [0], 65536)
greeting = b"\\xff" + bytes(8) + b"\\x7f\\x03\\x00" + b"NULL".ljust(20, b"\\0") + b"\\0" + bytes(31)
ready = b"\\x04\\x19\\x05READY\\x0bSocket-Type\\x00\\x00\\x00\\x03SUB"
for _ in range(10):
    with socket.create_connection(("127.0.0.1", owner.port)) as stranger:
        stranger.sendall(greeting + ready)
        heard = b""
        while b"XPUB" not in heard:
            heard += stranger.recv(1)
        with contextlib.suppress(ConnectionError):  # it is not heard that he answers heartbeats, and he is let go
            for number in range(3000):
                stranger.sendall(b"\\x00\\x06\\x01DAO2x")
    time.sleep(0.2)  # in which libzmq has heartbeats to say
while owner.hear():
    pass
print(owner.is_asked)
"""


def test_an_owner_that_has_no_time_for_who_is_gone_goes_on() -> None:
    ended = subprocess.run([sys.executable, "-c", OWNER], capture_output=True, text=True, timeout=120, check=False)
    assert (ended.returncode, ended.stdout.strip()) == (0, "True"), ended.stderr
