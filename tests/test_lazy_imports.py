"""What loads TensorFlow, and what answers without it."""

import json
import subprocess
import sys

from tests import source_tree

# Commands that print what they know, each with the module whose `main` runs it.
COMMANDS = [
    *(
        (script.removesuffix(".py"), flag)
        for script in source_tree.SCRIPTS
        for flag in ("--help", "--version")
    ),
    ("train_image_classifier", "--list_networks"),
    ("classifier.serve", "--help"),
    ("classifier.serve", "--version"),
    ("classifier.checkpoints.__main__", "--help"),
    ("classifier.checkpoints.__main__", "--version"),
    ("classifier.checkpoints.__main__", "inspect", "--help"),
    ("classifier.checkpoints.__main__", "list"),
    ("classifier.cli.recipes", "--help"),
    ("classifier.cli.recipes",),
    ("classifier.cli.completion", "--help"),
    *(("classifier.cli.completion", shell) for shell in ("bash", "zsh", "fish")),
    ("slim.run", "--help"),
]
RUNNER = """
import contextlib, importlib, io, json, sys
loaded = {}
import slim
loaded["import slim"] = "tensorflow" in sys.modules
names = dir(slim)
loaded["dir(slim)"] = "tensorflow" in sys.modules
from slim import arg_scope, __version__
loaded["from slim import arg_scope"] = "tensorflow" in sys.modules
for module, *arguments in json.loads(sys.argv[1]):
    sys.argv = [module, *arguments]
    with contextlib.redirect_stdout(io.StringIO()) as out:
        try:
            importlib.import_module(module).main()
        except SystemExit as end:
            assert not end.code, end.code
    assert out.getvalue().strip(), sys.argv
    loaded[" ".join(sys.argv)] = "tensorflow" in sys.modules
print(json.dumps(loaded))
"""


def test_importing_slim_and_commands_that_only_print_do_not_load_tensorflow():
    done = subprocess.run(
        [sys.executable, "-c", RUNNER, json.dumps(COMMANDS)],
        cwd=source_tree.ROOT, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    loaded = json.loads(done.stdout)
    assert len(loaded) == 3 + len(COMMANDS)
    assert [name for name, is_loaded in loaded.items() if is_loaded] == []
