"""Runs a program that was written for TensorFlow 1 and TF-Slim, unchanged.

Usage: python -m slim.run SCRIPT [ARGUMENT ...]

In the script, and in the modules next to it, `import tensorflow as tf` is TensorFlow 1's API
(`tensorflow.compat.v1`, without eager execution), and `tensorflow.contrib` and `tf_slim` are this
library, as far as TF-Slim is a part of contrib. `from nets import inception` and the other packages
of research/slim are this library's, unless the script has its own. `tf.layers` and
`tf.nn.rnn_cell` need Keras 2: they work if `tf_keras` is installed. `np.int`, `np.float` and the
other names of Python's types, which NumPy removed, are Python's types.
"""

import builtins
import importlib.util
import os
import pathlib
import re
import sys
import types
from collections.abc import Sequence
from typing import Any

_PYTHON_2 = "Code for Python 2 must be translated first, for example by 2to3"
_NOTES = {
    "not available with Keras 3": "It needs Keras 2: install tf_keras of TensorFlow's version",
    "no attribute '(iter(items|keys|values)|has_key)'|name '(xrange|unicode|raw_input)'": _PYTHON_2,
    "'(range|dict_keys|dict_values|dict_items|map|filter|zip)' object (does not support item|is not"
    " subscriptable|has no len)": _PYTHON_2,
    "no attribute 'NewCheckpointReader'": (
        "In place of TensorFlow's internals use tf.train.NewCheckpointReader; in place of a copy of"
        " freeze_graph.py, python -m tensorflow.python.tools.freeze_graph"
    ),
    "'float' object cannot be interpreted as an integer": (
        "In Python 3, a / b of two integers is a float: write a // b. 2to3 does not change it"
    ),
}


def main(arguments: Sequence[str] | None = None) -> None:
    """Runs the script named by the first argument, as `python SCRIPT` does."""
    arguments = list(sys.argv[1:] if arguments is None else arguments)
    if not arguments or arguments[0] in ("-h", "--help"):
        print((__doc__ or "").strip())
        sys.exit(0 if arguments else 2)
    script = pathlib.Path(arguments[0])
    if not script.is_file():
        sys.exit(f"slim.run: {arguments[0]} does not exist. Pass the path of a Python file")
    code = _compiled(script)
    _prepare()
    sys.argv = arguments
    if not sys.flags.safe_path:
        del sys.path[0]  # where this module was started
    sys.path.insert(0, str(script.resolve().parent))
    main_module = types.ModuleType("__main__")
    main_module.__dict__.update(__file__=str(script), __builtins__=builtins)
    sys.modules["__main__"] = main_module
    execute(code, main_module.__dict__)


def execute(code: types.CodeType, names: dict[str, Any]) -> None:
    """Executes a program; what TensorFlow or Python no longer has is an error with a way out."""
    try:
        exec(code, names)
    except (AttributeError, NameError, TypeError) as error:
        for pattern, note in _NOTES.items():
            if re.search(pattern, str(error)):
                error.add_note(note)
        raise


def _compiled(script: pathlib.Path) -> types.CodeType:
    from slim.compat import scripts

    try:
        return scripts.compile_script(script.read_bytes(), str(script))
    except SyntaxError as error:
        note = " ".join(error.__notes__)
        sys.exit(f"slim.run: {script}, line {error.lineno}: {error.msg}. {note}")


def _prepare() -> None:
    if importlib.util.find_spec("tf_keras"):
        os.environ.setdefault("TF_USE_LEGACY_KERAS", "1")
    import numpy as np
    import tensorflow as tf
    from absl import flags

    from slim.compat import importer, scripts

    tf.compat.v1.disable_v2_behavior()
    importer.install()
    importer.import_image_library()
    scripts.import_as_scripts()
    for kind in (bool, int, float, complex, str, object):  # removed in NumPy 1.24; 2 has bool again
        if kind.__name__ not in vars(np):
            setattr(np, kind.__name__, kind)
    # TensorFlow 1 did not define absl's flags, such as --log_dir, so that scripts do.
    for name in flags.FLAGS:
        flags.FLAGS[name].allow_override = True


if __name__ == "__main__":
    main()
