"""The folder of a run of NetAdapt: nothing that was computed is lost (chapter 9).

``adaptation.safetensors`` is the state after the last finished step: weights, and as data the
table and the history. Each trial of the step under way has a file of its own; they go when the
step is complete. All files are replaced atomically.
"""

from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

from mnv3lib.models import Network
from mnv3lib.models.tables import from_table, to_table
from mnv3lib.search.adaptation import Adaptation, AdaptSettings, Step, Trial
from mnv3lib.search.proposals import Proposal
from mnv3lib.train.checkpoint import CheckpointError, read_checkpoint, write_checkpoint

__all__ = ["AdaptationFolder", "load_adaptation"]

_STATE = "adaptation.safetensors"


@dataclass(frozen=True)
class AdaptationFolder:
    """Where a run keeps its state.

    Attributes:
        path: The folder.
        settings: The settings of the run.
    """

    path: Path
    settings: AdaptSettings

    def open(self, begun: Adaptation, *, resume: bool) -> Adaptation:
        """Starts a run in the folder, or reads how far it came.

        Args:
            begun: The run before its first step.
            resume: Whether a run that the folder holds may go on.

        Returns:
            The run to go on with.

        Raises:
            FileExistsError: The folder holds a run, and `resume` is not asked for.
            CheckpointError: It holds a run with other settings, or a damaged one.
        """
        state = self.path / _STATE
        if not state.exists():
            self.keep(begun)
            return begun
        if not resume:
            raise FileExistsError(
                f"{self.path} already holds a run: resume it, or choose another folder"
            )
        found, about = _read(state)
        ours = _identity(begun, self.settings)
        for name, value in ours.items():
            if about["identity"][name] != value:
                raise CheckpointError(
                    f"{self.path} holds a run with another {name} "
                    f"({_short(about['identity'][name])}, now {_short(value)}): resume it as it "
                    "was started, or choose another folder"
                )
        return replace(found, start=begun.start)

    def keep(self, adaptation: Adaptation) -> None:
        """Writes the state after a step, and drops the trials that led to it."""
        about = {
            "identity": _identity(adaptation, self.settings),
            "table": to_table(adaptation.network.spec),
            "steps": [asdict(step) for step in adaptation.steps],
        }
        write_checkpoint(self.path / _STATE, {"network": adaptation.network.state_dict()}, about)
        for file in self.path.glob("trial-*.safetensors"):
            file.unlink()

    def keep_trial(self, step: int, trial: Trial, network: Network) -> None:
        """Writes a trial of the step under way."""
        about = {"step": step, "trial": asdict(trial)}
        write_checkpoint(self._trial(trial.group), {"network": network.state_dict()}, about)

    def find_trial(self, step: int, proposal: Proposal) -> tuple[float, Network] | None:
        """Accuracy and network of a trial that was made before, if there is one."""
        file = self._trial(proposal.group.index)
        if not file.exists():
            return None
        parts, about = read_checkpoint(file)
        if (about["step"], about["trial"]["width"]) != (step, proposal.width):
            return None  # of a step that was completed while this file stayed behind
        network = Network(proposal.spec)
        network.load_state_dict(parts["network"])
        return about["trial"]["accuracy"], network

    def _trial(self, group: int) -> Path:
        return self.path / f"trial-{group:03}.safetensors"


def load_adaptation(path: Path) -> Adaptation:
    """Reads how far a run has come.

    Args:
        path: The folder of the run.

    Raises:
        FileNotFoundError: It holds no run.
        CheckpointError: It holds a damaged one.
    """
    return _read(path / _STATE)[0]


def _identity(adaptation: Adaptation, settings: AdaptSettings) -> dict[str, Any]:
    """What must be the same for a run to go on; the target may change."""
    return {
        **asdict(settings),
        "start": to_table(adaptation.start),
        "start_ms": adaptation.start_ms,
        "start_accuracy": adaptation.start_accuracy,
    }


def _read(file: Path) -> tuple[Adaptation, Mapping[str, Any]]:
    parts, about = read_checkpoint(file)
    identity = about["identity"]
    network = Network(from_table(about["table"]))
    network.load_state_dict(parts["network"])
    steps = tuple(_step(step) for step in about["steps"])
    start = from_table(identity["start"])
    found = Adaptation(start, identity["start_ms"], identity["start_accuracy"], network, steps)
    return found, about


def _step(content: Mapping[str, Any]) -> Step:
    kept, trials = Trial(**content["kept"]), tuple(Trial(**trial) for trial in content["trials"])
    return Step(**{**content, "kept": kept, "trials": trials})


def _short(value: object) -> str:
    text = repr(value)
    return text if len(text) <= 60 else text[:57] + "..."
