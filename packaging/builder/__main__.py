"""Build the packages: see packaging/README.md."""
import sys
import lock
lock.renew()
