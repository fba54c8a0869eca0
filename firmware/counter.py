"""The people-flow processing system: pixels in, whole numbers out, behind a shut door.

Knows:  the slots lent to it, to read; a model; where people are counted.
Never:  a file, a socket, a clock that tells the time of day, a picture after its answer, a key.
Leaves: one 64-byte answer a request.
Clauses: 2, 5.1 (a processing system of its own), 5.2(1), 6.2(1) (erased before the answer), 6.1(4), 4.2(2).

Started by :mod:`firmware.drivers.counter_process` as ``python -m firmware.counter``; nobody starts it by hand.
Everything is loaded and run once before the door is shut; afterwards it can do nothing but count.
"""

from __future__ import annotations

from pathlib import Path
from statistics import median
from typing import Final

import msgspec
import numpy as np
import numpy.typing as npt

from firmware.camera.memory import map_readable
from firmware.drivers.jail_door import Door
from firmware.drivers.litert import LoadedModel, load_model
from firmware.drivers.model_manifest import Tensor, read_manifest
from firmware.flow import region, wire
from firmware.flow.decode import HALF_HEIGHT, HALF_WIDTH, Decoder, Quantised
from firmware.flow.form import FORMS
from firmware.flow.observer import Head, Observer
from firmware.flow.record import Dimension
from firmware.flow.settings import FlowSettings
from firmware.flow.tensors import PICTURE_BYTES
from firmware.ground.clock import Clock, SystemClock
from firmware.ground.errors import ModelError

WARM_UPS: Final = 3
MEASURED_RUNS: Final = 5


class Argument(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """What the parent says at the start; public, for it stands in the command line."""

    models: str
    settings: FlowSettings
    slots: int
    slot_bytes: int


def main() -> None:
    """Load, shut the door, count until the parent closes its end."""
    clock = SystemClock()
    began_ns = clock.stopwatch_ns()
    door = Door.from_argv()
    argument = msgspec.convert(door.argument, Argument)
    observer = build_observer(Path(argument.models), argument.settings)
    bare_us = _warm_up(observer, clock)
    pictures = _map(door.descriptor("frames"), argument.slots, argument.slot_bytes)
    about = wire.About(bare_us=bare_us, load_us=(clock.stopwatch_ns() - began_ns) // 1000)
    door.shut()
    for message, _ in door.requests():
        counted = _serve(door, observer, pictures, about, message)
        if counted:
            observer.blank()  # 5.2(1): after the answer, so that nobody waits; before the next picture


def build_observer(models: Path, settings: FlowSettings) -> Observer:
    """Load what ``settings`` need from ``models``. Raises :class:`ModelError` and ConfigError."""
    manifest = read_manifest(models)
    entry = manifest.for_task("persons", settings.detector)
    if entry is None or entry.score_threshold is None:
        raise _lacking(models, settings.detector or "persons")
    detector = load_model(models, entry)
    form = FORMS[entry.input.shape]
    decoder = Decoder(
        form,
        [_quantised(detector.output_entry(meaning)) for meaning in form.outputs],
        threshold=_threshold(entry.score_threshold, settings),
        counted=region.mask(HALF_HEIGHT, HALF_WIDTH, settings.region_of_interest, settings.ignore),
    )
    if not settings.attributes:
        return Observer(form, detector, decoder)
    estimator = manifest.for_task("attributes")
    if estimator is None or estimator.minimum_height_pixels is None:
        raise _lacking(models, "attributes")
    names = frozenset(dimension.value for dimension in settings.attributes)
    attributes = load_model(models, estimator, needed=names)
    heads = tuple(_head(attributes, dimension) for dimension in Dimension if dimension in settings.attributes)
    return Observer(form, detector, decoder, attributes, heads, estimator.minimum_height_pixels)


def _serve(
    door: Door, observer: Observer, pictures: list[npt.NDArray[np.uint8]], about: wire.About, message: bytes
) -> bool:
    """Answer one request; return whether a picture was looked at."""
    try:
        request = wire.decode_request(message)
    except wire.Refused:
        door.answer(wire.encode_refusal())
        return False
    if request.slot is None:
        door.answer(wire.encode_about(request.nonce, about))
        return False
    if request.slot >= len(pictures):
        door.answer(wire.encode_refusal(request.nonce))
        return False
    counts = observer.count(pictures[request.slot])
    door.answer(wire.encode_reply(request.nonce, counts))
    return True


def _map(descriptor: int, slots: int, slot_bytes: int) -> list[npt.NDArray[np.uint8]]:
    """Return one read-only view (uint8, ``slot_bytes``) for each slot."""
    mapped = np.frombuffer(map_readable(descriptor, slots * slot_bytes), dtype=np.uint8)
    return [mapped[slot * slot_bytes : (slot + 1) * slot_bytes] for slot in range(slots)]


def _warm_up(observer: Observer, clock: Clock) -> int:
    """Run everything once on nothing, so that the first picture finds it ready; return the bare runs' median (us)."""
    observer.count(np.zeros(PICTURE_BYTES, np.uint8))
    for _ in range(WARM_UPS):
        observer.blank()
    spent = []
    for _ in range(MEASURED_RUNS):
        began_ns = clock.stopwatch_ns()
        observer.blank()
        spent.append(clock.stopwatch_ns() - began_ns)
    return round(median(spent) / 1000)


def _threshold(of_model: float, settings: FlowSettings) -> float:
    asked = settings.score_threshold
    if asked is None:
        return of_model
    if asked < of_model:
        raise ModelError(
            "E-MODEL-THRESHOLD",
            f"score_threshold {asked} is below the model's own {of_model}: more false alarms than were measured",
            where="flow.toml: score_threshold",
            clause="6.2(2)",
            todo=f"leave it out, or choose {of_model} or more",
        )
    return asked


def _quantised(tensor: Tensor) -> Quantised:
    return Quantised(tensor.scale, tensor.zero_point)


def _head(attributes: LoadedModel, dimension: Dimension) -> Head:
    tensor = attributes.output_entry(dimension.value)
    return Head(dimension, _quantised(tensor), tensor.confidence or 1.0)


def _lacking(models: Path, task: str) -> ModelError:
    return ModelError(
        "E-MODEL-MISSING", f"no model for {task}", where=models.name, todo="use the models of this release"
    )


if __name__ == "__main__":
    main()
