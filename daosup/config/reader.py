"""Reads the configuration of one daemon, always in the same way: the same file, instance and command line."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Optional

from daosup.config import Config, load


@dataclass(frozen=True)
class ConfigReader:
    """What the configuration of a daemon is read from; as for ``load``."""

    file: Optional[Path]
    instance: str
    overrides: Mapping[str, object]

    def read(self) -> Config:
        """What it is now.

        Raises:
            ConfigError: If it is wrong anywhere.
        """
        return load(self.file, self.instance, self.overrides)

    def read_text(self, text: str, name: str) -> Config:
        """What it would be if a file called ``name`` said this instead.

        Raises:
            ConfigError: If it is wrong anywhere.
        """
        return load(Path(name), self.instance, self.overrides, text)
