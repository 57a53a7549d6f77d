"""Runs a program that was written for TensorFlow 1 and TF-Slim, unchanged.

    python -m slim.run SCRIPT [ARGUMENTS]

In the script, and in the modules next to it, `import tensorflow as tf` is TensorFlow 1's API
(`tensorflow.compat.v1`, without eager execution), and `tensorflow.contrib` and `tf_slim` are this
library, as far as TF-Slim is a part of contrib.
"""

import builtins
import pathlib
import sys
import types
from collections.abc import Sequence


def main(arguments: Sequence[str] | None = None) -> None:
    """Runs the script named by the first argument, as `python SCRIPT` does."""
    arguments = list(sys.argv[1:] if arguments is None else arguments)
    if not arguments or arguments[0] in ("-h", "--help"):
        print(__doc__)
        sys.exit(0 if arguments else 2)
    script = pathlib.Path(arguments[0])
    if not script.is_file():
        sys.exit(f"slim.run: there is no script {arguments[0]}. Pass the path of a Python file")
    _prepare()
    sys.argv = arguments
    sys.path[0] = str(script.resolve().parent)
    _run(script)


def _prepare() -> None:
    import tensorflow as tf

    from slim import compat
    from slim.compat import scripts

    tf.compat.v1.disable_v2_behavior()
    compat.install()
    scripts.import_as_scripts()


def _run(script: pathlib.Path) -> None:
    from slim.compat import scripts

    try:
        code = scripts.compile_script(script.read_bytes(), str(script))
    except SyntaxError as error:
        sys.exit(
            f"slim.run: {script}, line {error.lineno}: {error.msg}. A script for Python 2 must be "
            "translated to Python 3 first"
        )
    main_module = types.ModuleType("__main__")
    main_module.__dict__.update(__file__=str(script), __builtins__=builtins)
    sys.modules["__main__"] = main_module
    exec(code, main_module.__dict__)


if __name__ == "__main__":
    main()
