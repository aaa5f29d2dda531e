"""All faults: importing this enters them into the list, in the order in which they are told."""

from importlib import import_module

THEMES = ("workers", "wild", "supervisor", "registry", "roles", "network", "direct", "segments", "room", "leftovers")

for _theme in THEMES:
    import_module(f"tests.faults.{_theme}")
