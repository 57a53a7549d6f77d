"""Each error of the source is on the Troubleshooting page, or exempt for a reason.

The page is a list of entries, which begin with messages in code spans, `...` for what varies. An
entry covers a message if one of these fits it from its start to its end, or to a punctuation mark.
exempt_messages.txt has all other errors, by file, below the reason why the page says nothing.
"""

import functools
import re

from tests import messages, source_tree

PAGE = source_tree.ROOT / "docs" / "troubleshooting.md"
EXEMPT = source_tree.ROOT / "tests" / "exempt_messages.txt"
_CODE = r"(?:``` .+? ```|`[^`]+`)"
_START = rf"- (?:(?:{_CODE}|\*\*[^*]+\*\*)(?:,\s+| )?)+<br>\s"
_WHOLE = 12  # characters; a shorter part of a message is not distinctive
_REMEDY = re.compile(
    r"(?i)\b(allowed|expected|accepted|known|required|such as|use|pass|remove|add|choose|set|move|"
    r"copy|try|write|call|send|export|convert|correct|rename|decompress|evaluate|example)\b"
    r"|\. To \w+"
)
# Errors of TF-Slim and TensorFlow that are asked for most in public issue threads.
SEARCHED_FOR = """
No module named 'tensorflow.contrib'
module 'tensorflow.python.ops.control_flow_ops' has no attribute 'case'
`batch_normalization` is not available with Keras 3
No module named 'nets'
could not create 'build'
No module named 'tornado'
Cannot assign a device for operation ... explicitly assigned to /device:GPU:0
You must supply the dataset directory with --dataset_dir
No variables to save
No variables to optimize.
HTTP Error 403: Forbidden
imagenet_lsvrc_2015_synsets.txt: No such file or directory
FIFOQueue ... is closed and has insufficient elements
DataLossError: corrupted record at 0
truncated record at ...
targets[20] is out of range
Received a label value of N which is outside the valid range
Invalid JPEG data
Not a JPEG file: starts with 0x89 0x50
Expected image (JPEG, PNG, or GIF)
input must have 3 channels but instead has 1 channels
LossTensor is inf or nan
Loss is inf or nan
assertion failed: [predictions must be in [0, 1]]
OOM when allocating tensor with shape[...]
Ignoring --checkpoint_path because a checkpoint already exists
Waiting for new checkpoint at ...
Unsuccessful TensorSliceReader constructor: Failed to find any matching files
Assign requires shapes of both tensors to match. lhs shape= [10] rhs shape= [1001]
Tensor name "..." not found in checkpoint files
Key .../Adam not found in checkpoint
Key .../ExponentialMovingAverage not found in checkpoint
Could not find meta graph def matching supplied tags: { serve }
Constant array ... lacks MinMax information
Variable ... already exists, disallowed
""".strip().splitlines()


@functools.cache
def pattern(text):
    """Returns the expression for a message; `--...` is an option, whose name may vary."""
    parts = [re.escape(part) for part in re.split(r"(--\.\.\.|\.\.\.)", text)]
    wild = {re.escape("--..."): r"(?:--[\w=.]+|\.\.\.)", re.escape("..."): ".*"}
    return re.compile("".join(wild.get(part, part) for part in parts) + r"(?:[.:;,? (].*)?$")


@functools.cache
def entries():
    """Returns the messages of the page's entries, and the starts of list items without one."""
    items = re.split(r"\n(?=- |\n|#)", PAGE.read_text("utf-8"))
    starts = {item: re.match(_START, item) for item in items if item.startswith("- ")}
    spans = [each for start in starts.values() if start for each in re.findall(_CODE, start[0])]
    texts = tuple(" ".join(each.strip("`").split()) for each in spans)
    return texts, [item[:60] for item, start in starts.items() if not start]


@functools.cache
def exemptions():
    """Returns file -> [(reason, part of a message)]."""
    parts, reason = {}, ""
    for line in EXEMPT.read_text("utf-8").splitlines():
        if line.startswith("["):
            reason = line.strip("[]")
        elif line and not line.startswith("#"):
            path, _, texts = line.partition(": ")
            parts.setdefault(path, []).extend((reason, text) for text in texts.split(" | "))
    return parts


@functools.cache
def on_page(message):
    return any(pattern(text).match(message) for text in entries()[0])


def is_part(part, message):
    return part == message or (len(part) >= _WHOLE and part in message)


@functools.cache
def all_errors():
    """Returns file -> message -> line."""
    paths = {path.relative_to(source_tree.ROOT).as_posix(): path for path in source_tree.files()}
    return {name: messages.of_file(path) for name, path in paths.items()}


def test_each_error_has_an_entry_or_an_exemption():
    missing = []
    for name, errors in all_errors().items():
        exempt = [part for _, part in exemptions().get(name, ())]
        for text, line in errors.items():
            if not on_page(text) and not any(is_part(part, text) for part in exempt):
                missing.append(f"{name}:{line}: {text}")
    assert not missing, "add them to docs/troubleshooting.md, or to exempt_messages.txt"


def test_each_exemption_is_needed_and_its_reason_true():
    for name, parts in exemptions().items():
        errors = [text for text in all_errors()[name] if not on_page(text)]
        for reason, part in parts:
            exempt = [text for text in errors if is_part(part, text)]
            assert exempt, f"{name}: {part}"
            if "library function" in reason:
                assert not name.startswith(("classifier/", "datasets/")), name
            if "what to do" in reason:
                assert all(map(_REMEDY.search, exempt)), exempt


def test_entries_are_well_formed_and_of_errors_that_exist():
    texts, malformed = entries()
    assert not malformed
    assert len(texts) == len(set(texts))
    assert not set(SEARCHED_FOR) - set(texts)
    errors = [text for each in all_errors().values() for text in each]
    source = "\n".join(path.read_text("utf-8") for path in source_tree.files())
    for text in set(texts) - set(SEARCHED_FOR):
        fixed = max(re.split(r"(?:--)?\.\.\.", text), key=len).strip(" .,:;()=")
        assert any(map(pattern(text).match, errors)) or fixed in source, text


def test_an_error_without_an_entry_is_detected(tmp_path):
    path = tmp_path / "module.py"
    path.write_text(
        "def check(name, size):\n"
        "    if size:\n"
        "        raise ValueError(f'{name} is quaint: {size}')\n"
        "    raise problems.error('{} needs {}', problems.named('fold'), problems.named('folds'))\n"
    )
    assert messages.of_file(path) == {"... is quaint: ...": 3, "--fold needs --folds": 4}
    assert not on_page("... is quaint: ...")
    assert on_page("--fold needs --folds")
    assert not on_page("optimizer=... needs a learning rate")
