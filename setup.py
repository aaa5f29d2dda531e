"""The C extension: one binary for every Python from 3.9 on, through the limited API."""

import sysconfig
from glob import glob

from setuptools import Extension, setup

# Interpreters without the global lock have no limited API yet: they get a binary of their own.
is_limited = not sysconfig.get_config_var("Py_GIL_DISABLED")

native = Extension(
    "daosup.shm._native",
    sources=sorted(glob("daosup/shm/*.c")),
    depends=sorted(glob("daosup/shm/*.h")),
    define_macros=[("Py_LIMITED_API", "0x03090000")] if is_limited else [],
    py_limited_api=is_limited,
    # Only its entry is for others: calls within need no table, and no library with functions of those names is called.
    extra_compile_args=["-std=c11", "-O2", "-fvisibility=hidden", "-Wall", "-Wextra"],
    extra_link_args=["-pthread", "-lrt"],
)

setup(
    ext_modules=[native],
    options={"bdist_wheel": {"py_limited_api": "cp39"}} if is_limited else {},
)
