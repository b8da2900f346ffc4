"""How much latency NetAdapt takes off at each step (chapter 9).

Step i has to save delta * decay^(i - 1) of the latency at the start. MobileNetV3 keeps the cut at
1 % throughout (arXiv 1905.02244, final version, section 4.2: delta = 0.01 L); NetAdapt's public
code starts with 2.5 % and lets it decay by 0.96 a step. Cuts that decay add up to

    delta * (1 - decay^n) / (1 - decay)  after n steps, and never to delta / (1 - decay):

62.5 % with these numbers, so that the target in the same code's defaults, a quarter of the
latency, is out of its reach.
"""

from dataclasses import dataclass

__all__ = ["CutSchedule", "UnreachableError"]


class UnreachableError(ValueError):
    """The target latency cannot be reached.

    Attributes:
        reached: How far a run came, a :class:`mnv3lib.search.adaptation.Adaptation`; None if it
            was refused at its start.
    """

    def __init__(self, message: str, reached: object = None) -> None:
        super().__init__(message)
        self.reached = reached


@dataclass(frozen=True)
class CutSchedule:
    """The cut of each step, as a share of the latency at the start.

    Attributes:
        delta: The first cut, above 0 and below 1.
        decay: Each cut over the one before, above 0 and at most 1.

    Raises:
        ValueError: A number out of its range.

    Example:
        >>> netadapt_code = CutSchedule(delta=0.025, decay=0.96)
        >>> round(netadapt_code.total(30), 4), round(netadapt_code.limit, 4)
        (0.4413, 0.625)
    """

    delta: float = 0.01
    decay: float = 1.0

    def __post_init__(self) -> None:
        if not 0 < self.delta < 1:
            raise ValueError(
                "delta is the share of the latency that a step takes off: above 0 and below 1, "
                f"got {self.delta}; MobileNetV3 takes 0.01"
            )
        if not 0 < self.decay <= 1:
            raise ValueError(f"decay must be above 0 and at most 1, got {self.decay}")

    def cut(self, step: int) -> float:
        """The cut of a step, the first being step 1."""
        return self.delta * self.decay ** (step - 1)

    def total(self, steps: int) -> float:
        """The sum of the first cuts."""
        if self.decay == 1:
            return self.delta * steps
        return self.delta * (1 - self.decay**steps) / (1 - self.decay)

    @property
    def limit(self) -> float:
        """What the sum of cuts stays below, however many steps are made."""
        return self.delta / (1 - self.decay) if self.decay < 1 else float("inf")

    def check_target(self, start_ms: float, target_ms: float) -> None:
        """Refuses targets that there is no way to, or none to go.

        A step may save more than its cut, since widths come in steps of their own. A target
        beyond the sum of cuts would have to be met by such luck, so it is refused, too.

        Args:
            start_ms: Latency of the network to start from, in milliseconds.
            target_ms: Latency to come down to, in milliseconds.

        Raises:
            ValueError: The target is not above 0, or the start already meets it.
            UnreachableError: The cuts never add up to the difference.
        """
        if not 0 < target_ms < start_ms:
            raise ValueError(
                f"the target must be above 0 and below the present {start_ms:g} ms, "
                f"got {target_ms:g}: there is nothing to adapt"
            )
        wanted = 1 - target_ms / start_ms
        if wanted >= self.limit:
            raise UnreachableError(
                f"{target_ms:g} ms is {wanted:.1%} below the {start_ms:g} ms at the start, but "
                f"cuts of {self.delta:g} that decay by {self.decay:g} a step add up to less than "
                f"{self.limit:.1%}: take a larger delta, or a decay of 1"
            )
