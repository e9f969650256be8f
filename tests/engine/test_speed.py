"""The speed of this machine: measured, remembered, and never trusted blindly."""

import json

import pytest

from jaxbn.engine import cost, speed
from jaxbn.engine.ladder import tile_step_seconds
from jaxbn.engine.machine import workers
from jaxbn.engine.programs import sizes_of
from jaxbn.engine.speed import PROGRAM, Speed, remembered, rounded

RATES = cost.rates("cpu", 2)


def test_seconds_of_steps_and_compilations_scale():
    fast = Speed(training=2.0, compiling=4.0).scaled(RATES)
    sizes = sizes_of(PROGRAM.problem)
    slow_step, fast_step = (tile_step_seconds(PROGRAM.spec, 8, sizes, rates) for rates in (RATES, fast))
    assert fast_step == pytest.approx(slow_step / 2)
    assert (fast.compile, fast.compile_small) == (RATES.compile / 4, RATES.compile_small / 4)
    assert (fast.workers, fast.cache, fast.largest_tile) == (RATES.workers, RATES.cache, RATES.largest_tile)


def test_it_is_measured_once(tmp_path, monkeypatch):
    first = remembered(tmp_path, workers(), RATES)
    assert speed.LEAST <= first.training <= speed.MOST
    assert first.training == rounded(first.training)
    monkeypatch.setattr(speed, "measure", lambda *_: pytest.fail("measured again"))
    assert remembered(tmp_path, workers(), RATES) == first


@pytest.mark.parametrize(
    "written",
    [
        "",
        "{",
        "[]",
        "{}",
        json.dumps({"machine": "another", "training": 2.0, "compiling": 2.0}),
        json.dumps({"machine": "this", "training": 1e9, "compiling": 1.0}),
        json.dumps({"machine": "this", "training": None, "compiling": 1.0}),
        json.dumps({"machine": "this", "training": float("nan"), "compiling": 1.0}),
    ],
)
def test_what_makes_no_sense_is_measured_again(tmp_path, monkeypatch, written):
    this = f"{speed.kind_of_machine()} {workers()[0].device_kind} x {len(workers())}"
    name = f"speed-{workers()[0].platform}-{len(workers())}.json"
    (tmp_path / name).write_text(written.replace('"this"', json.dumps(this)))
    monkeypatch.setattr(speed, "measure", lambda *_: Speed(0.5, 0.5))
    assert remembered(tmp_path, workers(), RATES) == Speed(0.5, 0.5)
    monkeypatch.setattr(speed, "measure", lambda *_: Speed(4.0, 4.0))
    assert remembered(tmp_path, workers(), RATES) == Speed(0.5, 0.5)


def test_where_nothing_can_be_written_it_is_measured_each_time(tmp_path, monkeypatch):
    monkeypatch.setattr(speed, "measure", lambda *_: Speed(2.0, 2.0))
    assert remembered(tmp_path / "missing", workers(), RATES) == Speed(2.0, 2.0)
