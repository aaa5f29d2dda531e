"""Frames over ZeroMQ: the only part of daosup that knows of sockets for them."""
