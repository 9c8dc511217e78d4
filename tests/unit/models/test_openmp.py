"""LightGBM on a machine without the OpenMP library that its wheel expects."""

import subprocess
import sys

FIT = """
from pathlib import Path
from foundry_tasks.models.openmp import provide_copy
provide_copy()
import lightgbm, numpy as np
data = lightgbm.Dataset(np.arange(400.0).reshape(200, 2), np.arange(200) % 2)
print(lightgbm.train({"verbose": -1, "num_threads": 2}, data, 3).num_trees())
print([line for line in Path("/proc/self/maps").read_text().splitlines() if line.endswith("/libgomp.so.1.0.0")])
"""


def test_lightgbm_fits_with_the_library_that_xgboost_brings():
    fitted = subprocess.run([sys.executable, "-c", FIT], capture_output=True, text=True, check=True)
    assert fitted.stdout.splitlines() == ["3", "[]"]
