"""Builds the packages: see packaging/README.md."""

from __future__ import annotations

import argparse
import time

import deb
import lock
import rpm
from settings import own_version
from tree import tree


def main() -> None:
    """Make what is asked for."""
    parser = argparse.ArgumentParser(prog="builder", description=__doc__)
    parser.add_argument("what", choices=("tree", "deb", "rpm", "lock"))
    parser.add_argument("--version", default=None, help="another version than that of the sources, as tests want")
    parser.add_argument("--compression", choices=("small", "fast"), default="small")
    options = parser.parse_args()
    version = options.version or own_version()
    began_s = time.monotonic()
    if options.what == "lock":
        lock.renew()
        return
    made = tree(version)
    staged_s = time.monotonic() - began_s
    if options.what != "tree":
        build = {"deb": deb.build, "rpm": rpm.build}[options.what]
        made = build(version, options.compression)
    packed_s = time.monotonic() - began_s - staged_s
    print(f"{made}: staged in {staged_s:.0f} s, packed in {packed_s:.0f} s")


if __name__ == "__main__":
    main()
