"""The commands of daosupctl: what each is called, takes and does.

Invariant: a command is in one group, and the groups are told in the order in which they are needed.
"""

from __future__ import annotations

from daosup.ctl.commands.changing import CHANGING
from daosup.ctl.commands.command import Command
from daosup.ctl.commands.looking import LOOKING
from daosup.ctl.commands.serving import SERVING

__all__ = ["COMMANDS", "GROUPS", "Command"]

GROUPS = {"look at": LOOKING, "segments and workers": CHANGING, "the daemon": SERVING}
COMMANDS: dict[str, Command] = {name: command for group in GROUPS.values() for name, command in group.items()}
