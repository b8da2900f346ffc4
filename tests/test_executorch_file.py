"""ExecuTorch files: an int8 network computes the same there, and what XNNPACK leaves is named."""

import pytest
import torch
from torch import nn

pytest.importorskip("executorch", reason="needs the extra 'deploy'")
pytest.importorskip("torchao", reason="needs the extra 'deploy'")

from mnv3lib.compress.executorch_file import executorch_bytes, left_behind
from mnv3lib.compress.post_training import quantise_network
from mnv3lib.measure.runtime_executorch import load_program, thread_count
from tiny_programs import Tiny, tiny_images


@pytest.fixture(autouse=True)
def _cache(tmp_path, monkeypatch):
    monkeypatch.setenv("MNV3_CACHE", str(tmp_path))


def test_an_int8_network_is_xnnpacks_and_computes_the_same():
    int8 = quantise_network(Tiny().eval(), [tiny_images()])
    x = tiny_images(1)
    content = executorch_bytes(int8, x)
    assert not [name for name in left_behind(content) if name.startswith("aten::")]
    with torch.no_grad():
        expected = int8(x)
    steps = [node.args[1] for node in int8.graph.nodes if "quantize_per_tensor" in node.name]
    with thread_count(1):
        program = load_program(content, 1)
        assert (program.input_shape, program.output_shape) == ((1, 3, 32, 32), (1, 4))
        found = program.bind(x)()
    torch.testing.assert_close(found, expected, rtol=0, atol=1.1 * steps[-1])


class _Sums(nn.Module):
    def forward(self, x):
        return x.cumsum(1)


def test_operators_outside_of_xnnpack_are_named():
    content = executorch_bytes(_Sums(), torch.zeros(1, 2))
    assert left_behind(content) == ["aten::cumsum"]
    found = load_program(content, 1).bind(torch.ones(1, 2))()
    assert found.tolist() == [[1, 2]]
