"""`cds train` and `cds evaluate`: models on one's own data."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated, Literal

import typer
from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeRemainingColumn
from rich.table import Table

from cds.cli.settings import JsonOption
from cds.errors import ConfigError

Device = Annotated[Literal["auto", "cpu", "cuda"], typer.Option(help="Where to compute.")]
Manifest = Annotated[Path, typer.Option(help="CSV; a wrong column is an error that names the right ones.")]
Out = Annotated[Path, typer.Option(help="The run folder; an interrupted run there is resumed.")]
Seed = Annotated[int, typer.Option(help="The same seed and data give the same weights on one machine.")]
SCREEN = Console(stderr=True)


def register(app: typer.Typer) -> None:
    """Add both groups."""
    train = typer.Typer(help="Train a model: progress shown, resumable, weights and model card written.")
    train.command("image")(train_image)
    train.command("fusion")(train_fusion)
    train.command("labs")(train_labs)
    train.command("waveform")(train_waveform)
    evaluate = typer.Typer(help="Evaluate a model on your own data, with 95 % bootstrap intervals.")
    evaluate.command("image")(evaluate_image)
    evaluate.command("fusion")(evaluate_fusion)
    evaluate.command("labs")(evaluate_labs)
    evaluate.command("text")(evaluate_text)
    app.add_typer(train, name="train")
    app.add_typer(evaluate, name="evaluate")


def train_image(
    manifest: Manifest,
    out: Out,
    device: Device = "auto",
    seed: Seed = 7,
    bf16: Annotated[
        bool | None,
        typer.Option("--bf16/--no-bf16", help="Compute in bfloat16. Default: on for CUDA and CPUs with AVX512-BF16."),
    ] = None,
    compiled: Annotated[
        bool | None,
        typer.Option("--compile/--no-compile", help="Compile the network. Default: as --bf16, given a C++ compiler."),
    ] = None,
    as_json: JsonOption = False,
) -> None:
    """Train a chest X-ray model on columns path, label and, so that no person is on both sides, person.

    The weights that ship were trained with --bf16 --compile.
    """
    from cds.training.image import TrainSettings, train
    from cds.training.image_speed import with_speed

    settings = with_speed(TrainSettings(seed=seed, device=device), bf16=bf16, compiled=compiled)
    with _bar() as bar:
        result = train(manifest, out, settings=settings, progress=bar.counted)
    _tell(result.metrics, as_json, f"weights: {result.weights}\nmodel card: {result.card}")


def train_fusion(
    out: Out,
    manifest: Annotated[Path | None, typer.Option(help="A real cohort; without it, the simulated one.")] = None,
    embeddings: Annotated[
        Path | None,
        typer.Option(
            help="For a new X-ray model: .npz of held-out images with X (n, d), y and group; needs --xray-card."
        ),
    ] = None,
    xray_card: Annotated[
        Path | None, typer.Option("--xray-card", help="JSON that lies beside the weights which made --embeddings.")
    ] = None,
    seed: Seed = 7,
    as_json: JsonOption = False,
) -> None:
    """Train the fusion transformer on a real cohort, or rebuild the shipped one on the simulated cohort."""
    from cds.training.fusion import FusionTraining, train

    settings = FusionTraining(seed=seed, embeddings=_named(embeddings), xray_card=_named(xray_card))
    with _bar() as bar:
        result = train(out, manifest=manifest, settings=settings, progress=bar.shared)
    _tell(result.metrics, as_json, f"weights: {result.weights}\nmodel card: {result.card}")


def train_labs(
    manifest: Manifest,
    out: Out,
    repeats: Annotated[int, typer.Option(min=1, help="Of the cross-validation.")] = 5,
    prevalence: Annotated[float, typer.Option(help="Share of deaths that probabilities and threshold are for.")] = 0.12,
    seed: Seed = 7,
    as_json: JsonOption = False,
) -> None:
    """Train a risk model on patients' laboratory values and outcomes, CSV or XLSX; SVM and forest are compared."""
    from cds.training.labs import Settings, train

    settings = Settings(repeats=repeats, prevalence=prevalence, seed=seed)
    with _bar() as bar:
        result = train(manifest, out, settings=settings, progress=bar.counted)
    _tell(result.metrics, as_json, f"weights: {result.weights}\nmodel card: {result.card}")


def train_waveform(manifest: Manifest, out: Out, seed: Seed = 7, as_json: JsonOption = False) -> None:
    """Train a recurrent network on the beats of annotated WFDB records, or on laboratory values in time.

    A CSV with a column record (and person, rhythm) names records; a table of values as for labs makes series.
    """
    from cds.training.waveform import Settings, train

    with _bar() as bar:
        result = train(manifest, out, settings=Settings(seed=seed), progress=bar.counted)
    _tell(result.metrics, as_json, f"weights: {result.weights}\nmodel card: {result.card}")


def evaluate_image(
    manifest: Manifest,
    model: Annotated[Path | None, typer.Option(help="Weights (safetensors); default: those shipped.")] = None,
    as_json: JsonOption = False,
) -> None:
    """Measure a chest X-ray model on columns path, label and person."""
    from cds.training.image import evaluate

    with _bar() as bar:
        metrics = evaluate(manifest, model=_existing(model), progress=bar.counted)
    _tell(metrics, as_json)


def evaluate_fusion(
    manifest: Manifest,
    model: Annotated[Path | None, typer.Option(help="Weights (safetensors); default: those shipped.")] = None,
    as_json: JsonOption = False,
) -> None:
    """Measure a fusion model on a real cohort."""
    from cds.fusion.weights import SHIPPED
    from cds.training.fusion import evaluate

    _tell(evaluate(manifest, weights=_existing(model) or SHIPPED), as_json)


def evaluate_labs(
    manifest: Manifest,
    model: Annotated[Path | None, typer.Option(help="Weights (safetensors); default: those shipped.")] = None,
    prevalence: Annotated[
        float | None, typer.Option(help="Share of deaths that probabilities are for; default: the model's own.")
    ] = None,
    as_json: JsonOption = False,
) -> None:
    """Measure a risk model on patients' laboratory values and outcomes: last values, and those of admission."""
    from cds.training.labs import evaluate

    _tell(evaluate(manifest, model=_existing(model), prevalence=prevalence), as_json)


def evaluate_text(
    manifest: Manifest,
    model: Annotated[
        str, typer.Option(help="rules, as parse-report reads; or the folder of a text encoder with a token head.")
    ] = "rules",
    as_json: JsonOption = False,
) -> None:
    """Measure how texts are read on columns text or file, finding (key, code or words), assertion.

    Where wanted also document, laterality and size_mm.
    """
    from cds.training.text import evaluate

    _tell(evaluate(manifest, model=model), as_json)


def _existing(model: Path | None) -> Path | None:
    if model is not None and not model.is_file():
        raise ConfigError(f"no weights at {model}; --model names a .safetensors file that `cds train` wrote")
    return model


def _named(path: Path | None) -> str:
    return "" if path is None else str(path)


class _Bar:
    """One progress bar, told of by steps counted or by the share that is done."""

    def __init__(self, progress: Progress) -> None:
        self._progress = progress
        self._tasks: dict[str, int] = {}

    def counted(self, doing: str, done: int, of: int) -> None:
        """`done` of `of` steps."""
        if doing not in self._tasks:
            self._tasks[doing] = int(self._progress.add_task(doing))
        task = next(task for task in self._progress.tasks if task.id == self._tasks[doing])
        self._progress.update(task.id, completed=done, total=of)

    def shared(self, doing: str, share: float) -> None:
        """`share` in 0..1."""
        self.counted(doing, round(share * 1000), 1000)


@contextmanager
def _bar() -> Iterator[_Bar]:
    columns = (TextColumn("{task.description}"), BarColumn(), TextColumn("{task.percentage:>3.0f} %"))
    with Progress(*columns, TimeRemainingColumn(), console=SCREEN) as progress:
        yield _Bar(progress)


def _tell(metrics: Mapping[str, object], as_json: bool, more: str = "") -> None:
    if as_json:
        typer.echo(json.dumps(metrics, ensure_ascii=False))
        return
    table = Table("Figure", "Value")
    for name, value in metrics.items():
        table.add_row(name, _shown(value))
    Console().print(table)
    if more:
        Console().print(more, markup=False, highlight=False)


def _shown(value: object) -> str:
    """Numbers with three places; a value with its interval as ``0.912 (0.890 to 0.930)``."""
    if isinstance(value, float):
        return f"{value:.3f}"
    if isinstance(value, list | tuple):
        return "[" + ", ".join(_shown(item) for item in value) + "]"
    if isinstance(value, Mapping) and {"value", "low", "high"} == value.keys():
        return f"{_shown(value['value'])} ({_shown(value['low'])} to {_shown(value['high'])})"
    if isinstance(value, Mapping):
        return "\n".join(f"{key}: {_shown(item)}" for key, item in value.items())
    return str(value)
