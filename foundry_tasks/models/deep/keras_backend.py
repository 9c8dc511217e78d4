"""Import this before Keras: it says which backend Keras shall have and how TensorFlow computes, where nobody has said so yet.

Keras asks the environment, once, when it is imported.

TensorFlow's sums are parted by its number of threads and by the widest instructions of the CPU: left alone, a fit has other
last bits on every kind of machine, and a thread a core even where a container is given two. And it takes a GPU's whole
memory at once, where tasks may share one.
"""

import os

BACKEND = os.environ.setdefault("KERAS_BACKEND", "tensorflow")
os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")
os.environ.setdefault("TF_NUM_INTRAOP_THREADS", "2")
os.environ.setdefault("TF_NUM_INTEROP_THREADS", "2")
# Held to AVX2 instead, oneDNN ends the process at the first product in half precision; these small networks do without it.
os.environ.setdefault("TF_ENABLE_ONEDNN_OPTS", "0")
os.environ.setdefault("TF_FORCE_GPU_ALLOW_GROWTH", "true")
