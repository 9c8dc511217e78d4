"""Defaults of the environment variables of Keras and TensorFlow. Import this module before Keras.

Keras reads the environment once, at its import. Variables that are already set are not changed.

TensorFlow splits sums by its number of threads and by the widest vector instructions of the CPU, so by default the last
bits of a fit depend on the machine. By default it also starts one thread per core, even in a container with two cores,
and reserves the whole memory of a GPU, which tasks may share.
"""

import os

BACKEND = os.environ.setdefault("KERAS_BACKEND", "tensorflow")
os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")
os.environ.setdefault("TF_NUM_INTRAOP_THREADS", "2")
os.environ.setdefault("TF_NUM_INTEROP_THREADS", "2")
# oneDNN is off: limited to AVX2, it aborts the process at the first half-precision product. Small networks do not need it.
os.environ.setdefault("TF_ENABLE_ONEDNN_OPTS", "0")
os.environ.setdefault("TF_FORCE_GPU_ALLOW_GROWTH", "true")
