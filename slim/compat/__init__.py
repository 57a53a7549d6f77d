"""Old programs, unchanged: the module paths of TF-Slim and of `tensorflow.contrib`.

After `slim.compat.install()`, `import tf_slim`, `import tensorflow.contrib.slim` and their
submodules are this library. `python -m slim.run SCRIPT` also makes `import tensorflow as tf` mean
TensorFlow 1's API (`tensorflow.compat.v1`) in the script and in the modules next to it.
"""


def install() -> None:
    """Makes `tf_slim` and `tensorflow.contrib`, with their submodules, this library.

    Programs written for them then run unchanged, as far as TensorFlow still has what they use:
    `import tensorflow.compat.v1 as tf` instead of `import tensorflow as tf` is up to them, or to
    `python -m slim.run`. Calling it again has no effect.

    Raises:
      ImportError: if the program has imported TF-Slim itself.
    """
    from slim.compat import importer  # loads TensorFlow

    importer.install()


__all__ = ["install"]
