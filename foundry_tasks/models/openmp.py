"""Provide the OpenMP library that LightGBM's wheel expects from the system, on a machine without it."""

import ctypes
import os
from importlib import util
from pathlib import Path

_NEEDED = "libgomp.so.1"


def provide_openmp() -> None:
    """Load libgomp.so.1 before LightGBM is imported: the system's library, else the copy in XGBoost's wheel."""
    try:
        ctypes.CDLL(_NEEDED)
    except OSError:
        provide_copy()


def provide_copy() -> None:
    """Load XGBoost's copy under the system's name. Without a copy nothing happens, and the import of LightGBM fails.

    The copy has another name, also inside the file (its SONAME), and the linker compares the name inside the file.
    """
    found = util.find_spec("xgboost")
    for package in (found.submodule_search_locations or []) if found else []:
        for library in Path(package).with_name("xgboost.libs").glob("libgomp-*.so*"):
            name = library.name.encode() + b"\0"
            renamed = library.read_bytes().replace(name, _NEEDED.encode().ljust(len(name), b"\0"))
            memory = os.memfd_create(_NEEDED)
            with os.fdopen(memory, "wb") as file:
                file.write(renamed)
                file.flush()
                ctypes.CDLL(f"/proc/self/fd/{memory}", ctypes.RTLD_GLOBAL)
            return
