"""``mnv3 list``, ``profile`` and ``latency``: networks, what they cost and how long they take."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from mnv3lib.cli.shared import AsJson, print_result

if TYPE_CHECKING:
    from mnv3lib.measure.latency import LatencyComparison

__all__ = ["add_to", "latency", "list_command", "profile"]

Width = Annotated[float, typer.Option("--width", help="Width multiplier, above 0.")]
Resolution = Annotated[
    int | None,
    typer.Option(
        help="Side of the square image, at least 32 pixels; the network's own if not given."
    ),
]
Classes = Annotated[int, typer.Option(help="Classes of the last layer.")]
WidthRule = Annotated[
    str | None, typer.Option(help="MobileNetV3 only: paper (default) or torchvision.")
]
Tail = Annotated[str | None, typer.Option(help="MobileNetV3 only: full (default), dagger or rf2.")]
Padding = Annotated[str | None, typer.Option(help="symmetric (default) or same, TensorFlow's.")]
Runtime = Annotated[str, typer.Option(help="eager, onnxruntime or executorch.")]
Threads = Annotated[int, typer.Option(help="Threads to compute with.")]
Rounds = Annotated[int, typer.Option(help="Timed rounds, each of which visits everything once.")]
Seconds = Annotated[
    float | None, typer.Option(help="Time budget of the rounds, instead of --rounds.")
]
Deploy = Annotated[
    bool, typer.Option("--deploy", help="Fold batch norm and use the faster memory layout first.")
]


def list_command(
    pattern: Annotated[str, typer.Argument(help="Shell pattern, such as 'mobilenet_v3_*'.")] = "*",
    json: AsJson = False,
) -> None:
    """List the networks whose names match a pattern."""
    from mnv3lib import report
    from mnv3lib.models import list_models, model_spec

    names = list_models(pattern)
    if not names:
        raise ValueError(f"no network is named like {pattern!r}; 'mnv3 list' shows all")
    specs = {name: model_spec(name) for name in names}
    print_result(json, specs, report.list_data, report.list_text)


def profile(
    name: Annotated[str, typer.Argument(help="A network; 'mnv3 list' shows them.")],
    width: Width = 1.0,
    resolution: Resolution = None,
    classes: Classes = 1000,
    width_rule: WidthRule = None,
    tail: Tail = None,
    padding: Padding = None,
    runtime: Runtime = "eager",
    threads: Threads = 1,
    rounds: Rounds = 30,
    json: AsJson = False,
) -> None:
    """Print a network's table with each row's parameters, MACs, memory and latency."""
    from mnv3lib import report
    from mnv3lib.measure.profile import profile as profile_network
    from mnv3lib.models import create_model

    options = {"width_mult": width, "num_classes": classes}
    options |= _given(width_rule=width_rule, tail=tail, padding=padding)
    network = create_model(name, **options, **_given(resolution=resolution))
    result = profile_network(network, resolution, runtime, threads, rounds=rounds)
    print_result(
        json,
        result,
        lambda found: report.profile_data(name, options, found),
        lambda found: report.profile_text(name, options, found),
    )


def latency(
    names: Annotated[
        list[str],
        typer.Argument(help="Networks, which 'mnv3 list' shows, or files of 'mnv3 export'."),
    ],
    width: Width = 1.0,
    resolution: Resolution = None,
    runtime: Runtime = "eager",
    threads: Threads = 1,
    deploy: Deploy = False,
    rounds: Rounds = 30,
    seconds: Seconds = None,
    device: Annotated[
        str | None, typer.Option(help="adb: time .pte files on the phone that adb sees.")
    ] = None,
    runner: Annotated[
        Path | None, typer.Option(help="ExecuTorch's executor_runner, built for the phone.")
    ] = None,
    json: AsJson = False,
) -> None:
    """Time networks, or files, side by side, in interleaved rounds."""
    from mnv3lib import report
    from mnv3lib.measure.latency import compare_latency
    from mnv3lib.measure.program_file import PROGRAMS
    from mnv3lib.models import create_model
    from mnv3lib.models import deploy as deployed

    files = [Path(name) for name in names if name.endswith(tuple(PROGRAMS))]
    if files or device is not None or runner is not None:
        if len(files) < len(names):
            raise ValueError(f"give networks or files ({', '.join(PROGRAMS)}), got {names}")
        own = {"--width": width != 1, "--resolution": resolution is not None, "--deploy": deploy}
        _refuse(own | {"--runtime": runtime != "eager"}, "does not go with files: it is fixed")
        comparison = _time_files(files, threads, rounds, seconds, device, runner)
        print_result(json, comparison, report.latency_data, report.latency_text)
        return
    options = {"width_mult": width, **_given(resolution=resolution)}
    networks = {name: create_model(name, **options) for name in names}
    if deploy:
        networks = {name: deployed(network) for name, network in networks.items()}
    protocol = {"rounds": rounds, "seconds": seconds}
    comparison = compare_latency(networks, resolution, runtime, threads, **protocol)
    print_result(json, comparison, report.latency_data, report.latency_text)


def _time_files(
    files: list[Path],
    threads: int,
    rounds: int,
    seconds: float | None,
    device: str | None,
    runner: Path | None,
) -> "LatencyComparison":
    """Times files here or on a phone."""
    from mnv3lib.measure.android import compare_on_phone
    from mnv3lib.measure.program_latency import compare_files

    if device is None:
        _refuse({"--runner": runner is not None}, "is for --device adb")
        return compare_files(files, threads, rounds=rounds, seconds=seconds)
    if device != "adb":
        raise ValueError(f"unknown device {device!r}: choose adb, or leave it out for this machine")
    _refuse({"--seconds": seconds is not None}, "does not go with --device; give --rounds")
    if runner is None:
        raise ValueError("--device adb needs --runner, ExecuTorch's executor_runner for the phone")
    return compare_on_phone(files, runner, threads, rounds=rounds)


def _refuse(given: dict[str, bool], why: str) -> None:
    """Raises a ValueError for the first option that is given."""
    for option, is_given in given.items():
        if is_given:
            raise ValueError(f"{option} {why}")


def _given(**options: str | None) -> dict[str, str]:
    """The options that are not None."""
    return {key: value for key, value in options.items() if value is not None}


def add_to(app: typer.Typer) -> None:
    """Adds these commands to an application."""
    app.command("list")(list_command)
    app.command()(profile)
    app.command()(latency)
