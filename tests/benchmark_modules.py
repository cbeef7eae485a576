"""Modules of benchmarks/, which are scripts beside each other and no package."""

import importlib
import sys
from types import ModuleType

from tests.project.tree import ROOT


def benchmark_module(name: str) -> ModuleType:
    sys.path.insert(0, str(ROOT / "benchmarks"))
    try:
        return importlib.import_module(name)
    finally:
        sys.path.remove(str(ROOT / "benchmarks"))
