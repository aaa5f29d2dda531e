"""A peer that behaves as the existing daemon does, for tests: a process of its own, told what to do line by line.

It is written from what is known of that daemon and of segments, and uses nothing of the package under test, so the two
cannot be wrong in the same way. What is not known of the daemon is decided here, and marked with "Not known:".
"""
