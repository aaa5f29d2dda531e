"""What a set of distributions needs of each other on a given Python.

pip evaluates the markers of requirements (``python_version < "3.11"``) for the Python that it runs on, whatever it is
told to install for. So who needs whom is worked out here, for the first and for the last release of each Python: what
only one of them needs goes in, too.
"""

from __future__ import annotations

from collections.abc import Mapping
from email.parser import HeaderParser
from pathlib import Path

from packaging.markers import default_environment
from packaging.requirements import Requirement
from packaging.specifiers import SpecifierSet
from packaging.utils import canonicalize_name
from settings import MACHINE

#: A distribution's version, and what it requires as its metadata say.
Metadata = tuple[str, list[str]]


def environments(python: str) -> list[dict[str, str]]:
    """What markers see on the first and on the last release of ``python``."""
    same = {
        "implementation_name": "cpython",
        "platform_python_implementation": "CPython",
        "os_name": "posix",
        "sys_platform": "linux",
        "platform_system": "Linux",
        "platform_machine": MACHINE,
        "python_version": python,
        "extra": "",
    }
    full = (f"{python}.0", f"{python}.99")
    return [
        {**dict(default_environment()), **same, "python_full_version": each, "implementation_version": each}
        for each in full
    ]


def needs(requires: list[str], python: str) -> list[Requirement]:
    """Those of the requirements that hold on some release of ``python``."""
    parsed = [Requirement(text) for text in requires]
    return [
        each
        for each in parsed
        if each.marker is None or any(each.marker.evaluate(environment) for environment in environments(python))
    ]


def reached(root: list[str], known: Mapping[str, Metadata], python: str) -> tuple[set[str], list[Requirement]]:
    """From requirements on: the names of all that is needed, and the requirements that nothing known satisfies."""
    names: set[str] = set()
    lacking: list[Requirement] = []
    open_requirements = needs(root, python)
    while open_requirements:
        requirement = open_requirements.pop()
        name = canonicalize_name(requirement.name)
        if name not in known or not requirement.specifier.contains(known[name][0], prereleases=True):
            lacking.append(requirement)
        elif name not in names:
            names.add(name)
            open_requirements += needs(known[name][1], python)
    return names, lacking


def read_metadata(site: Path, python: str) -> dict[str, Metadata]:
    """The distributions in a site-packages folder, by name.

    Raises:
        SystemExit: If one is not for ``python``.
    """
    found: dict[str, Metadata] = {}
    for file in sorted(site.glob("*.dist-info/METADATA")):
        fields = HeaderParser().parsestr(file.read_text(encoding="utf-8"))
        if f"{python}.0" not in SpecifierSet(fields.get("Requires-Python") or ""):
            raise SystemExit(f"builder: {file.parent.name} is not for Python {python}: {fields['Requires-Python']}")
        found[canonicalize_name(fields["Name"])] = (fields["Version"], fields.get_all("Requires-Dist") or [])
    return found
