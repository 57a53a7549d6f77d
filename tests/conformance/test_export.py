"""Every network in every format that keeps its weights as they are.

What cannot be exported is listed with its reason, and has to fail.
"""

import pytest

from classifier import exporting
from classifier.config.formats import FORMATS
from nets.nets_factory import NETWORKS
from slim import _checks
from tests.classifier import exports
from tests.classifier.test_exporting import make_run
from tests.conformance import reference

pytestmark = pytest.mark.slow

EXACT = [name for name, each in FORMATS.items() if not each.quantized]
# Videos have no preprocessing of pictures, so no checkpoint of theirs is exported.
VIDEOS = {name for name, spec in NETWORKS.items() if spec.input_rank == 5}
# (network, format) -> what the export says.
EXEMPT: dict[tuple[str, str], str] = {}


@pytest.fixture(scope="module", params=[name for name in NETWORKS if name not in VIDEOS])
def run(request, tmp_path_factory):
    channels = reference.layout(request.param)["input_shape"][-1]
    folder = tmp_path_factory.mktemp(request.param)
    return request.param, make_run(folder, request.param, channels, label_names=())


@pytest.mark.parametrize("format_name", EXACT)
def test_every_network_in_every_format(run, tmp_path, format_name, capsys):
    exports.needs(format_name)
    name, folder = run
    asked = exports.config(folder, tmp_path, formats=(format_name,), check_images=2)
    if (name, format_name) in EXEMPT:
        with pytest.raises(_checks.RunError, match=EXEMPT[name, format_name]):
            exporting.run(asked)
        assert not list(tmp_path.iterdir())
    else:
        exporting.run(asked)
        said = capsys.readouterr().out
        with capsys.disabled():
            print(name, said.splitlines()[-1].replace(str(tmp_path), ""), flush=True)
