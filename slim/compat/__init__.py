"""Old programs, unchanged: the module paths of TF-Slim and of `tensorflow.contrib`.

After `slim.compat.install()`, `import tf_slim`, `import tensorflow.contrib.slim` and their
submodules are this library. `python -m slim.run SCRIPT` also makes `import tensorflow as tf` mean
TensorFlow 1's API (`tensorflow.compat.v1`) in the script and in the modules next to it.
"""

from slim.compat.importer import install

__all__ = ["install"]
