"""``python -m daosup.ctl`` is daosupctl."""

from daosup.ctl import program

program()
