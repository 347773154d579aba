"""The training loop: pairs in, weights out, resumable at any step."""

from __future__ import annotations

import logging
import math
import sys
import time
from collections.abc import Callable, Generator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from lightning_fabric import Fabric
from torch import Tensor, nn
from torch.optim.swa_utils import AveragedModel

from vos.backbones import Backbone, load, save_checkpoint
from vos.caches import cache_folder
from vos.datasets.clips import Clip, find_clips, forget_unused, load_clips
from vos.errors import UsageError, VosError
from vos.progress import progress
from vos.runs.paths import Input, Output, check_paths
from vos.training.checkpointing import checkpoint_blocks
from vos.training.config import TrainConfig, choose_config, run_folder
from vos.training.contrastive import ContrastiveModel
from vos.training.evaluation import make_evaluation
from vos.training.icon import IconModel
from vos.training.launch import launch, stop_on_signal
from vos.training.metrics import MetricsWriter
from vos.training.objective import Objective
from vos.training.pairs import PairLoader, PairSampler
from vos.training.precision import keep_in_float32
from vos.training.predictive import PredictiveModel
from vos.training.run import Run
from vos.training.schedule import average_of, make_optimiser, rate_factor, resume_average, set_rate
from vos.training.shared_statistics import share_statistics

log = logging.getLogger("vos")

Evaluate = Callable[[Backbone], dict[str, float]]

OBJECTIVES: dict[str, Callable[[Backbone, TrainConfig], Objective]] = {
    "icon": IconModel,
    "contrastive": ContrastiveModel,
    "predictive": PredictiveModel,
}


@dataclass(frozen=True)
class Trained:
    """What a finished run gives."""

    run: Path
    weights: Path
    steps: int
    seconds: float
    metrics: dict[str, float]


def train(
    config: str | Path | TrainConfig,
    out: str | Path | None = None,
    *,
    data: Sequence[str | Path] | None = None,
    settings: Sequence[str] = (),
    seed: int | None = None,
    device: str | torch.device = "auto",
    devices: int = 1,
    overwrite: bool = False,
    evaluate: Evaluate | None = None,
    clips: list[Clip] | None = None,
) -> Trained:
    """Train a backbone, or go on with the run in ``out`` where it stopped.

    >>> vos.train("icon-resnet18", data=["videos"], settings=["steps=500"]).weights
    ...

    Args:
        config: the name of a shipped config, a YAML file, or a `TrainConfig`.
        data, settings, seed: changes of it, see `choose_config`.
        out: folder of the run, ``runs/NAME`` of the config by default: ``weights/`` (for
            ``vos.load``), ``weights-best/`` (of the highest J&F so far, where it is measured),
            ``state.pt``, ``metrics.jsonl``.
        device: ``auto``, ``cpu``, ``cuda`` or ``mps``.
        devices: processes on this machine; under ``torchrun`` its own numbers count.
        overwrite: start over in ``out``.
        evaluate: called with the (averaged) backbone every ``config.evaluation.every`` steps; what
            it returns goes to the metrics. By default J&F as ``config.evaluation`` says.
        clips: decoded clips to use instead of ``data.paths``.

    Raises:
        KeyboardInterrupt: after Ctrl-C or SIGTERM, when the state has been saved.
        UsageError: the folder holds another run, the config is unknown or makes no sense here, or
            there is nothing to train on.
        VosError: no data could be decoded, or the loss is no longer a number.
    """
    config_file = [] if isinstance(config, TrainConfig) else [Path(config)]
    config = choose_config(config, data=data, settings=settings, seed=seed)
    out = Path(out) if out is not None else run_folder(config)
    check_paths(
        [Input("the configuration", path) for path in config_file if path.is_file()],
        [Output("the run", out, folder=True), Output("its configuration", out / "config.yaml")],
    )
    if clips is None and not config.data.paths:
        raise UsageError("nothing to train on: give `data`, folders of videos, frames or photos")
    fabric = launch(config, str(device), devices)
    run = Run(out, config, overwrite=overwrite)
    fabric.barrier()
    if fabric.is_global_zero:
        run.start(config, overwrite=overwrite)
    fabric.barrier()
    if evaluate is None and config.evaluation.every and fabric.is_global_zero:
        evaluate = make_evaluation(config.evaluation, out / "evaluation", fabric.device)
    trainer = Trainer(config, run, fabric, evaluate)
    if trainer.step < trainer.last_step:
        trainer.fit(clips if clips is not None else _load(config, fabric))
    return trainer.result()


class Trainer:
    """State of a run and the steps over it."""

    def __init__(
        self, config: TrainConfig, run: Run, fabric: Fabric, evaluate: Evaluate | None
    ) -> None:
        self.config, self.run, self.fabric, self.evaluate = config, run, fabric, evaluate
        torch.manual_seed(config.seed)
        torch.set_flush_denormal(True)
        backbone = load(config.model.backbone, seed=config.seed)
        if backbone.recipe is None:  # its checkpoint could not say what to rebuild
            raise UsageError(
                f"model.backbone {config.model.backbone} is no family: register what builds it "
                "with vos.backbones.family, and train with vos.train"
            )
        if not any(parameter.requires_grad for parameter in backbone.parameters()):
            raise UsageError(f"model.backbone {config.model.backbone} has nothing to train")
        self.model = OBJECTIVES[config.objective.name](backbone, config).train()
        if fabric.world_size > 1:
            share_statistics(self.model)
        self.optimiser = make_optimiser(config.optimiser, backbone, self.model.own_parameters())
        self.average: AveragedModel | None = None
        self.step = 0  # steps made
        self.last_step = config.steps
        self.best = -math.inf  # J&F of the weights that are kept as the best
        self.seconds = 0.0
        self.metrics: dict[str, float] = {}
        state = run.load_state()
        if state is not None:
            self.model.load_state_dict(state["model"])
            self.model.remember(state.get("memory", {}))
        if config.ema:  # of the weights in float32, whatever the network is trained in
            self.average = average_of(self.model, config.ema).to(fabric.device)
        # Before processes are joined: their buckets of gradients take over the weights' order.
        self.model.backbone.to(memory_format=torch.channels_last)
        self.wrapped, self.optimiser = fabric.setup(self.model, self.optimiser)
        keep_in_float32(self.model, but="backbone")
        if fabric.device.type == "cuda":
            torch.backends.cudnn.benchmark = True
        if config.model.checkpointing:
            checkpoint_blocks(self.model.backbone)
        if config.compile:
            self.model.backbone.compile()
        if state is not None:
            self._restore(state)
            log.info("resumed at step %d of %d", self.step, self.last_step)

    def fit(self, clips: list[Clip]) -> None:
        """Make the steps that are left."""
        config, fabric = self.config, self.fabric
        loader = self._loader(clips)
        share = config.batch // config.optimiser.accumulate // fabric.world_size
        steps = range(
            self.step * config.optimiser.accumulate, config.steps * config.optimiser.accumulate
        )
        numbers = range(fabric.global_rank * share, (fabric.global_rank + 1) * share)
        batches = loader.batches(steps, numbers, share * fabric.world_size)
        writer = MetricsWriter(self.run, config, self.step) if fabric.is_global_zero else None
        bar = progress(total=config.steps, description=config.name, unit="step")
        bar.update(self.step)
        self.started, self.waited = time.perf_counter(), 0.0
        self.first_step, before = self.step, self.seconds
        with stop_on_signal() as stop:
            while self.step < self.last_step:
                values = self._step(batches, numbers)
                self.step += 1
                self.seconds = before + time.perf_counter() - self.started
                stopped, self.seconds = self._agree(stop.asked(), self.seconds)
                if self._done() >= 1:
                    self.last_step = self.step
                bar.update()
                self._report(values, writer, bar)
                last = stopped or self.step == self.last_step
                if last or self.step % config.checkpoint_every == 0:
                    self.save()
                if stopped:
                    break
        batches.close()
        bar.close()
        if writer is not None:
            writer.close()
        if self.step < self.last_step:
            raise KeyboardInterrupt

    def _step(self, batches: Generator[Tensor], numbers: range) -> dict[str, Tensor]:
        """Make one step of the optimiser; return the measures of its last part."""
        config = self.config
        factor = rate_factor(config.optimiser, self.step, self._done())
        set_rate(self.optimiser, factor)
        self.optimiser.zero_grad(set_to_none=True)
        parts = config.optimiser.accumulate
        share = config.batch // parts
        total: dict[str, Tensor] = {}
        for part in range(parts):
            asked = time.perf_counter()
            crops = next(batches).to(self.fabric.device)
            self.waited += time.perf_counter() - asked
            offset = part * share
            inputs = self.model.prepare(
                crops, self.step, range(offset + numbers.start, offset + numbers.stop)
            )
            with self.fabric.no_backward_sync(self.wrapped, enabled=part < parts - 1):
                values = self.wrapped(*inputs)
                self.fabric.backward(values["loss"] / parts)
            for name, value in values.items():
                total[name] = total.get(name, 0) + value.detach() / parts
        if config.optimiser.clip:
            norm = self.fabric.clip_gradients(
                self.wrapped,
                self.optimiser,
                max_norm=config.optimiser.clip,
                error_if_nonfinite=False,
            )
            assert norm is not None
            total["gradient_norm"] = norm.detach()
        self.optimiser.step()
        if self.average is not None:
            self.average.update_parameters(self.model)
        return total

    def _done(self) -> float:
        """Share of the run that is over: by steps or, where it has a limit, by time."""
        done = self.step / self.config.steps
        if self.config.minutes is not None:
            done = max(done, self.seconds / (60 * self.config.minutes))
        return done

    def _agree(self, stop: bool, seconds: float) -> tuple[bool, float]:
        """Stop and time as all processes see them: any stop counts, the longest time."""
        if self.fabric.world_size == 1:
            return stop, seconds
        both = torch.tensor([float(stop), seconds], device=self.fabric.device)
        torch.distributed.all_reduce(both, torch.distributed.ReduceOp.MAX)
        return bool(both[0]), float(both[1])

    def _report(self, values: dict[str, Tensor], writer: MetricsWriter | None, bar: Any) -> None:
        config = self.config
        evaluated = self._evaluate()
        if self.step % config.log_every and not evaluated and self.step != self.last_step:
            return
        names = sorted(values)
        reduced = torch.stack([values[name].float() for name in names])
        if self.fabric.world_size > 1:
            torch.distributed.all_reduce(reduced)
            reduced /= self.fabric.world_size
        numbers = dict(zip(names, reduced.tolist(), strict=True))
        if not numbers["loss"] == numbers["loss"]:
            raise VosError(
                f"the loss is not a number at step {self.step}: lower optimiser.rate "
                f"(the last state is in {self.run.state_path})"
            )
        self.metrics = {
            **numbers,
            "rate": self.optimiser.param_groups[0]["lr"],
            "seconds": round(self.seconds, 3),
            **evaluated,
        }
        shown = {name: f"{numbers[name]:.3f}" for name in ("loss", self.model.shown)}
        bar.set_postfix(shown, refresh=False)
        if not sys.stderr.isatty():  # a log file, where a bar leaves nothing to read
            log.info("%s", self._line({**numbers, **evaluated}))
        if writer is not None:
            writer.write(self.step, self.metrics)

    def _line(self, values: dict[str, float]) -> str:
        """Return one line for a log: step, measures, and how fast the run is."""
        wanted = ("loss", self.model.shown, "J&F")
        measures = [f"{name} {values[name]:.3f}" for name in wanted if name in values]
        seconds = max(time.perf_counter() - self.started, 1e-9)
        pairs = (self.step - self.first_step) * self.config.batch
        speed = f"{pairs / seconds:.2f} pairs per second"
        waiting = f"{self.waited / seconds:.0%} of the time waiting for crops"
        return ", ".join([f"step {self.step} of {self.last_step}", *measures, speed, waiting])

    def _evaluate(self) -> dict[str, float]:
        every = self.config.evaluation.every
        if not every or self.step % every:
            return {}
        found = {"evaluated": 1.0}
        if self.evaluate is not None:  # on the first process only
            backbone = self.backbone()
            with torch.random.fork_rng():
                measured = self.evaluate(backbone)
            found = {name: float(value) for name, value in measured.items()}
            if found.get("J&F", -math.inf) > self.best:
                self.best = found["J&F"]
                save_checkpoint(self.run.best_path, backbone, card=self._card())
        self.fabric.barrier()
        return found

    def backbone(self) -> Backbone:
        """Return a copy of the backbone, with averaged weights where the run keeps them."""
        copy = load(self.config.model.backbone, seed=self.config.seed)
        state = self._averaged().state_dict()
        prefix = "backbone."
        copy.load_state_dict(
            {key[len(prefix) :]: value for key, value in state.items() if key.startswith(prefix)}
        )
        return copy.eval()

    def _card(self) -> dict[str, Any]:
        return {"Run": self.config.name, "Steps": self.step, "Seed": self.config.seed}

    def _averaged(self) -> nn.Module:
        return self.average.module if self.average is not None else self.model

    def save(self) -> None:
        """Write state and weights."""
        memory = self.model.memory()
        if self.fabric.is_global_zero:
            state = {
                "step": self.step,
                "best": self.best,
                "seconds": self.seconds,
                "model": self.model.state_dict(),
                "memory": memory,
                "average": self._averaged().state_dict() if self.average is not None else None,
                "precision": self.fabric.strategy.precision.state_dict(),
                "optimiser": self.optimiser.state_dict(),
                "random": torch.random.get_rng_state(),
                "metrics": self.metrics,
            }
            backbone = self.backbone()
            card = self._card()
            save_checkpoint(self.run.weights_path, backbone, card=card)
            if self.config.keep and self.step % self.config.keep == 0:
                kept = self.run.folder / f"weights-{self.step:06d}"
                save_checkpoint(kept, backbone, card=card)
            self.run.save_state(state)
        self.fabric.barrier()

    def result(self) -> Trained:
        """Return what the run gave."""
        return Trained(
            self.run.folder, self.run.weights_path, self.step, self.seconds, self.metrics
        )

    def _restore(self, state: dict[str, Any]) -> None:
        self.step, self.seconds = state["step"], state["seconds"]
        self.metrics, self.best = state["metrics"], state.get("best", -math.inf)
        if self._done() >= 1:  # by steps or by time; a run whose limit was raised goes on
            self.last_step = self.step
        self.optimiser.load_state_dict(state["optimiser"])
        if self.average is not None:
            self.average.module.load_state_dict(state["average"])
            resume_average(self.average, self.step)
        self.fabric.strategy.precision.load_state_dict(state.get("precision", {}))
        torch.random.set_rng_state(state["random"])

    def _loader(self, clips: list[Clip]) -> PairLoader:
        config = self.config
        sampler = PairSampler(clips, config.data, config.crop, seed=config.seed)
        fabric = self.fabric
        self.model.begin(sampler, fabric.device, fabric.global_rank, fabric.world_size)
        device = fabric.device if config.data.cache == "device" else None
        return PairLoader(
            clips,
            sampler,
            workers=config.data.workers,
            device=device,
            frames=self.model.frames,
        )


def _load(config: TrainConfig, fabric: Fabric) -> list[Clip]:
    sources = find_clips([Path(path).expanduser() for path in config.data.paths])
    warn = log.warning if fabric.is_global_zero else _silent
    return load_clips(
        sources,
        short_side=config.data.short_side,
        cache="memory" if config.data.cache == "device" else config.data.cache,
        cache_folder=_cache_folder(config) if config.data.cache == "disk" else None,
        warn=warn,
    )


def _cache_folder(config: TrainConfig) -> Path:
    """Return the folder of decoded clips; of the one that vos chooses, old ones are removed."""
    if config.data.cache_folder:
        return Path(config.data.cache_folder).expanduser()
    folder = cache_folder("clips")
    forget_unused(folder)
    return folder


def _silent(message: str) -> None:
    """Drop the message: the first process logs it."""
