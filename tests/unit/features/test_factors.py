import os
import subprocess
import sys

FIRST_AND_SECOND = """
import numpy as np
from foundry_tasks.features.factors import factor_residuals

returns = np.random.default_rng(0).normal(0, 0.01, (500, 500))
first, second = factor_residuals(returns), factor_residuals(returns)
assert np.array_equal(first, second, equal_nan=True)
"""


def test_the_first_residuals_of_a_process_have_the_bits_of_later_ones_however_many_threads_blas_may_take():
    unlimited = os.environ | {"OPENBLAS_NUM_THREADS": str(os.cpu_count())}
    subprocess.run([sys.executable, "-c", FIRST_AND_SECOND], check=True, env=unlimited)
