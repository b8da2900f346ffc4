"""A network as an ExecuTorch file, the one that a phone runs (chapter 12).

Float and int8 networks take the same way (:func:`mnv3lib.measure.runtime_executorch.lower`): the
part of the graph that XNNPACK has kernels for becomes one call of XNNPACK each, and it is XNNPACK
that fuses groups of quantising and dequantising operators into int8 kernels. What it does not take
stays behind and runs on ExecuTorch's portable kernels, which are plain loops: right, but slow.
:func:`left_behind` names it.
"""

from torch import Tensor, nn

from mnv3lib.data.needs import needs_extra
from mnv3lib.measure.runtime_executorch import lower
from mnv3lib.measure.silence import hushed

__all__ = ["executorch_bytes", "left_behind"]


def executorch_bytes(network: nn.Module, example: Tensor) -> bytes:
    """A network in evaluation mode as the bytes of a ``.pte`` file.

    Args:
        network: From one tensor to one tensor; a recorded graph of
            :func:`mnv3lib.compress.post_training.quantise_network` runs in int8.
        example: An input; its shape is fixed in the file.

    Raises:
        ImportError: The package executorch is not installed.
        Exception: Whatever the exporter raises for an operator that ExecuTorch does not have.
    """
    with needs_extra("deploy"), hushed():
        import executorch.exir  # noqa: F401 - lowering starts there
    return lower(network, example)


def left_behind(program: bytes) -> list[str]:
    """Operators of a program that XNNPACK does not compute, sorted.

    Args:
        program: The bytes of a ``.pte`` file.

    Example:
        >>> left_behind(executorch_bytes(network, image))  # doctest: +SKIP
        ['aten::cumsum']
    """
    with hushed():
        from executorch.exir._serialize._program import deserialize_pte_binary

        plans = deserialize_pte_binary(program).program.execution_plan
    return sorted({operator.name for plan in plans for operator in plan.operators})
