"""The whole training loop on one page.

What it needs comes in as arguments; what it finds goes out through the run folder, ``report`` and
the result. It prints nothing. Any step's order, augmentation and dropout follow from (seed, epoch,
step), dropout's from the rank too, so a run that was interrupted ends with the same bits as one
that was not, and the pictures of a step are the same on any number of ranks.
"""

import math
from collections.abc import Callable
from dataclasses import replace

import torch
from lightning_fabric import Fabric
from torch import Tensor, nn

from mien.data.augment import augment
from mien.data.loader import Sampler, mix, sampling_weights
from mien.data.mixing import mix_pictures
from mien.data.share import Share
from mien.errors import RunError
from mien.train.clock import Clock
from mien.train.finite import first_not_finite, gradients, largest, not_finite
from mien.train.history import HistoryWriter, Row
from mien.train.measure import gather_over_ranks, measure, sum_over_ranks
from mien.train.memory import halved, is_out_of_memory, pieces_on, undivided
from mien.train.objective import class_weights, training_loss
from mien.train.optim import Average, learning_rate, make_optimizer
from mien.train.ranks import (
    average_gradients,
    is_synchronised,
    on_all,
    on_first,
    synchronised,
    told_by_all,
)
from mien.train.recipes import Recipe
from mien.train.small_maps import fast_maps
from mien.train.state import Holders, Position, load_state, save_state
from mien.train.task import Interrupted, Status, Task
from mien.train.teachers import Teaching


class Loop:
    """One training run, from the newest state in its folder to the last epoch."""

    def __init__(self, fabric: Fabric, task: Task) -> None:
        self.fabric, self.task, self.recipe = fabric, task, task.recipe
        network = synchronised(task.network, fabric)
        network = network.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
        self.network: nn.Module = network
        self.optimizer = make_optimizer(network, self.recipe.optim)
        self.model, self.wrapped = fabric.setup(network, self.optimizer)
        # Whether a rank goes through a batch without a word to the others, and tells them then.
        self.apart = fabric.world_size > 1 and not is_synchronised(network)
        self.average = Average(network, self.recipe.optim.ema)
        self.teaching = Teaching(task.teachers, self.recipe.objective, task.training, fabric)
        labels, classes = task.training.labels, self.recipe.model.classes
        objective = self.recipe.objective
        chance = sampling_weights(labels, classes, objective.sampling_power)
        self.sampler = Sampler(
            len(task.training),
            self.recipe.batch_size,
            self.recipe.seed,
            chance,
            fabric.world_size,
        )
        self.weights_K = class_weights(labels, classes, objective.class_weight_power)
        self.sample = task.training.subset(_fixed_sample(len(task.training), self.recipe))
        self.generator = torch.Generator(device=fabric.device)
        self.holders = Holders(network, self.average, self.optimizer)
        at = load_state(task.run.state, self.holders)
        pieces = pieces_on(fabric.world_size, at.pieces, at.ranks, self.sampler.smallest)
        self.at = self.kept = replace(at, pieces=pieces)
        self.loss_sum = self._sum(self.at.loss_of(fabric.global_rank, fabric.world_size))
        self.clock = Clock(self.at.seconds, self.at.step_seconds)
        self.done = 0

    def run(self) -> nn.Module:
        """Train to the end; gives the averaged network in evaluation mode.

        Raises:
            Interrupted: ``stop`` said so; the state is saved.
            RunError: the loss is no longer a finite number, memory is too small, or no saved
                state can be used. OSError: something could not be written. What was saved before
                is untouched in each case.
        """
        at = self.at
        writer = on_first(self.fabric, lambda: HistoryWriter(self.task.run.history, list(at.rows)))
        while self.at.epoch < self.recipe.epochs:
            self._epoch()
            self._end_epoch()
            on_all(self.fabric, lambda: self._write(writer))
            self._save()
            self._report()
        return self.average.model

    def _epoch(self) -> None:
        self.model.train()
        for batch in self.sampler.batches(self.at.epoch, first=self.at.step):
            self._step(batch)
            self.at = self.at.next_step()
            self.done += 1
            self.clock.tick(step=True)
            if self.clock.report_due():
                self._report()
            if self._agreed(self.task.stop()):
                self._save()
                raise Interrupted(f"stopped; go on with: mien train --resume {self.task.run.path}")
            due = self._agreed(self.clock.save_due(self.task.save_seconds))
            if due and self.at.step < self.sampler.steps:
                self._save()

    def _step(self, batch: Tensor) -> None:
        """One step on this rank's share of a batch (``int64``, positions of all ranks)."""
        step = self.at.epoch * self.sampler.steps + self.at.step
        while (loss := self._tried(batch, step)) is None:
            own, ranks = self._share(len(batch), step).own, self.fabric.world_size
            pieces, sentence = halved(self.at.pieces, own, self.sampler.smallest, ranks)
            self.at = replace(self.at, pieces=pieces)
            self.task.told(sentence)
        mean = average_gradients(self.fabric, self.network, loss) if self.apart else loss
        most = largest(gradients(self.network)).to(loss.device)
        if not math.isfinite(float(mean + most)):
            self._not_finite(lambda: self._gradient(batch, step))
        rate = learning_rate(step, self.recipe.epochs * self.sampler.steps, self.recipe.optim)
        for group in self.optimizer.param_groups:
            group["lr"] = rate * group["factor"]
        with self.fabric.autocast():  # for Muon's products of matrices
            self.wrapped.step()
        self.wrapped.zero_grad()
        self.average.update(self.network, step)
        self.loss_sum += loss

    def _tried(self, batch: Tensor, step: int) -> Tensor | None:
        """What ``_gradient`` gives; None, and no gradient, where any rank had too little memory."""
        loss = None
        try:
            loss = self._gradient(batch, step)
        except (RuntimeError, MemoryError) as error:
            if not is_out_of_memory(error):
                raise
            if self.fabric.world_size > 1 and not self.apart:
                raise undivided(
                    self._share(len(batch), step).own, self.fabric.world_size
                ) from error
        # Here, where the error and with it the tensors of its frames are gone.
        if not self._agreed(loss is None):
            return loss
        self.wrapped.zero_grad()
        if self.fabric.device.type == "cuda":
            torch.cuda.empty_cache()
        return None

    def _gradient(self, batch: Tensor, step: int) -> Tensor:
        """Add up the gradients of a batch's pieces; the sum of this rank's images' losses."""
        # Dropout's masks are as large as the maps, so each rank draws its own; what is drawn for
        # the pictures is the same on all.
        torch.manual_seed(mix(self.recipe.seed, step, self.fabric.global_rank))
        self.generator.manual_seed(mix(self.recipe.seed, step, 0))
        total = self._sum(0.0)
        with self.fabric.no_backward_sync(self.model, enabled=self.apart):
            for piece in torch.tensor_split(batch, self.at.pieces):
                share = self._share(len(piece), step)
                loss = self._loss(piece[share.rows], share, step)
                # The mean over ranks follows; the factor makes it that over the batch's images.
                self.fabric.backward(loss * (share.own * self.fabric.world_size / len(batch)))
                total += loss.detach().double() * share.own
        return total

    def _share(self, total: int, step: int) -> Share:
        ranks, rank = self.fabric.world_size, self.fabric.global_rank
        return Share.of(total, ranks, rank, neighbour=self._mixes(step))

    def _mixes(self, step: int) -> bool:
        return self.recipe.mixing.active(step / (self.recipe.epochs * self.sampler.steps))

    def _loss(self, chosen: Tensor, share: Share, step: int) -> Tensor:
        images_NCHW, labels_N = self.task.training.get(chosen)
        images_NCHW = augment(images_NCHW, self.recipe.augment, self.generator, share)
        mixed, objective = None, self.recipe.objective
        if self._mixes(step):
            mixed = mix_pictures(images_NCHW, self.recipe.mixing, self.generator, share)
            images_NCHW = mixed.images
        teacher_NK = self.teaching(images_NCHW, chosen, mixed)
        with fast_maps():
            logits_NK = self.model(images_NCHW)
        return training_loss(
            logits_NK, labels_N, objective, self.weights_K, mixed=mixed, teacher_NK=teacher_NK
        )

    def _end_epoch(self) -> None:
        for buffer in self.average.model.buffers():
            # Each rank normalised its own part of the batches; all measure with the first one's.
            buffer.copy_(self.fabric.broadcast(buffer))
        train_loss, train_accuracy = measure(self.fabric, self.average.model, self.sample)
        loss, accuracy = measure(self.fabric, self.average.model, self.task.validation)
        running = float(self._total(self.loss_sum)) / len(self.task.training)
        on_all(self.fabric, lambda: self._check_finite(running, train_loss, loss))
        steps = self.sampler.steps
        rate = learning_rate(
            (self.at.epoch + 1) * steps - 1, self.recipe.epochs * steps, self.recipe.optim
        )
        step_seconds = self.clock.step_seconds
        self.clock.tick(step=False)
        row = Row(
            epoch=self.at.epoch + 1,
            train_loss=train_loss,
            train_accuracy=train_accuracy,
            validation_loss=loss,
            validation_accuracy=accuracy,
            running_loss=running,
            learning_rate=rate,
            seconds=self.clock.seconds,
            images_per_second=len(self.task.training) / max(step_seconds, 1e-9),
        )
        rows = (*self.at.rows, row)
        self.at = Position(epoch=self.at.epoch + 1, rows=rows, pieces=self.at.pieces)
        self.loss_sum = self._sum(0.0)
        self.clock.new_epoch()

    def _write(self, writer: HistoryWriter | None) -> None:
        if writer:
            writer.add(self.at.rows[-1])

    def _save(self) -> None:
        losses = gather_over_ranks(self.fabric, self.loss_sum)
        at = self.at.with_sums(losses, self.clock.seconds, self.clock.step_seconds)
        on_all(self.fabric, lambda: self._check(losses))
        folder, steps = self.task.run.state, self.sampler.steps
        on_first(self.fabric, lambda: save_state(folder, at, steps, self.holders))
        self.kept = at
        self.clock.saved()

    def _report(self) -> None:
        loss = float(self.loss_sum) / max(self.at.step * self.sampler.total, 1)
        loss *= self.sampler.steps * self.fabric.world_size
        left = (self.recipe.epochs - self.at.epoch) * self.sampler.steps - self.at.step
        seen = self.at.step * self.sampler.total / self.sampler.steps
        self.task.report(
            Status(
                epoch=min(self.at.epoch + 1, self.recipe.epochs),
                epochs=self.recipe.epochs,
                step=self.at.step,
                steps=self.sampler.steps,
                loss=loss,
                images_per_second=seen / max(self.clock.step_seconds, 1e-9),
                remaining=self.clock.remaining(self.done, left),
                rows=self.at.rows,
            )
        )

    def _check(self, losses: tuple[float, ...]) -> None:
        self.task.sound()
        self._check_finite(*losses)

    def _check_finite(self, *losses: float) -> None:
        """Refuse to save or to go on with what is spoilt: losses, weights or statistics."""
        name = not_finite(self.network)
        if name or not all(math.isfinite(loss) for loss in losses):
            raise self._stopped(f"'{name}' overflowed in the step before" if name else "")

    def _not_finite(self, again: Callable[[], Tensor]) -> None:
        """Do the step in hand again, before it changed any weight, to see where it went wrong."""
        self.wrapped.zero_grad()
        # Each rank has its own part of the batch, and but one of them may be at fault.
        places = told_by_all(self.fabric, first_not_finite(self.network, again))
        clean, rank = min((place.startswith("nowhere"), k) for k, place in enumerate(places))
        on_rank = f" on rank {rank}" if len(places) > 1 and not clean else ""
        raise self._stopped(f"first in {places[rank]}{on_rank}")

    def _stopped(self, where: str) -> RunError:
        kept, at = self.kept, self.at
        last = f"the state after epoch {kept.epoch}, step {kept.step} of the next"
        saved = f"{last}, is kept" if kept.epoch + kept.step else "no state was saved yet"
        return RunError(
            f"the loss is no longer a finite number (epoch {at.epoch + 1}, step {at.step + 1}"
            f"{': ' if where else ''}{where}); {saved}; going on would end here again: "
            "train anew with a lower --learning-rate or with --precision fp32"
        )

    def _agreed(self, wish: bool) -> bool:
        # Ranks hear a signal, and read the clock, at different steps; all must act at the same one.
        if self.fabric.world_size == 1:
            return wish
        return bool(self._total(self._sum(float(wish))) > 0)

    def _sum(self, value: float) -> Tensor:
        return torch.tensor(value, dtype=torch.float64, device=self.fabric.device)

    def _total(self, value: Tensor) -> Tensor:
        return sum_over_ranks(self.fabric, value)


def _fixed_sample(total: int, recipe: Recipe) -> Tensor:
    generator = torch.Generator().manual_seed(mix(recipe.seed, 0x5A))
    order = torch.randperm(total, generator=generator)
    return order[: recipe.train_sample].sort().values
