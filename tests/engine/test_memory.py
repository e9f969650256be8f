"""What cannot fit is refused before it starts, with numbers."""

import dataclasses
import math
import re

import pytest

import jaxbn
from jaxbn.engine import cost, memory
from jaxbn.engine.machine import workers
from jaxbn.engine.memory import check_memory, free_bytes
from jaxbn.engine.plan import Plan
from jaxbn.engine.programs import sizes_of
from jaxbn.errors import UserError

SPACE = jaxbn.Space(hidden_units=64, num_layers=2, batch_size=32, learning_rate=jaxbn.Float(1e-3, 1, scale="log"))


def plan(**settings) -> Plan:
    return jaxbn.plan(SPACE, "iris", **({"num_configs": 90, "num_epochs": 9} | settings))


def fixed_bytes(planned: Plan) -> int:
    """What a host needs for a plan however many trials there are."""
    return planned.bytes if workers()[0].platform == "cpu" else 0


def test_states_wait_where_somebody_decides():
    whole, some, changing = (plan(scheduler=name) for name in ("none", "halving", "pbt"))
    assert whole.waiting_bytes == 0
    member = some.tiles[0]
    each = cost.bytes_per_member(member.program.spec, sizes_of(some.problem))
    # Rungs of 90, 30 and 10: 30 that train on and a quarter more than 10 that may, or a quarter more than 30.
    assert some.waiting_bytes == pytest.approx(each * math.ceil(max(1.25 * 30, 30 + 1.25 * 10)))
    assert changing.waiting_bytes == pytest.approx(2 * 90 * each)
    assert some.host_bytes > some.waiting_bytes


@pytest.mark.parametrize("settings", [{"scheduler": "halving"}, {"keep_states": True}, {}])
def test_as_many_as_it_says_fit(monkeypatch, settings):
    settings = {"tile_size": 16} | settings
    planned = plan(**settings)
    monkeypatch.setattr(memory, "free_bytes", lambda: (fixed_bytes(planned) + planned.host_bytes / 3) / memory.SPARE)
    with pytest.raises(UserError, match="GB are free: train at most") as caught:
        check_memory(planned, workers()[0])
    number = re.search(r"at most ([\d,]+) at once", str(caught.value))
    assert number is not None
    fits, baselines = int(number[1].replace(",", "")), planned.num_trials - 90
    fewer, more = (plan(num_configs=math.floor(times * (fits - baselines)), **settings) for times in (1, 2))
    assert fewer.num_trials == fits
    check_memory(fewer, workers()[0])
    with pytest.raises(UserError, match="train at most"):
        check_memory(more, workers()[0])
    for free in (2 * (planned.host_bytes + planned.bytes), None):
        monkeypatch.setattr(memory, "free_bytes", lambda free=free: free)
        check_memory(planned, workers()[0])


@pytest.mark.skipif(workers()[0].platform != "cpu", reason="tiles and data are on the device")
@pytest.mark.parametrize(
    ("data", "settings", "less"),
    [
        ("iris", {"tile_size": 60}, "a smaller tile_size, smaller batches or fewer hidden units"),
        ("digits", {"tile_size": 1, "folds": 5}, "fewer rows"),
    ],
)
def test_what_would_not_fit_with_fewer_trials_either(monkeypatch, data, settings, less):
    planned = jaxbn.plan(SPACE, data, num_configs=90, num_epochs=9, **settings)
    monkeypatch.setattr(memory, "free_bytes", lambda: fixed_bytes(planned) / 2)
    with pytest.raises(UserError, match=f"the data and the tiles .*: give {less}$"):
        check_memory(planned, workers()[0])


def test_a_sweep_refuses_before_it_compiles(monkeypatch):
    from jaxbn.study import conduct

    monkeypatch.setattr(memory, "free_bytes", lambda: 1000)
    monkeypatch.setattr(conduct, "Trainer", lambda *_, **__: pytest.fail("something was compiled"))
    with pytest.raises(UserError, match="of memory"):
        jaxbn.sweep(SPACE, "iris", num_configs=2, num_epochs=1)


def test_everybody_waits_for_the_other_seeds():
    some = plan(scheduler="halving", replicates=3)
    each = cost.bytes_per_member(some.tiles[0].program.spec, sizes_of(some.problem))
    # 90 before the first decision; 30 that train on and 30 that have trained before the second.
    assert some.waiting_bytes == pytest.approx(3 * each * 90)


@pytest.mark.parametrize(
    ("most", "used", "free"), [("1000", "300", 700), ("1000", "2000", 0), ("max", "300", None), (None, "300", None)]
)
def test_a_control_group_confines(monkeypatch, tmp_path, most, used, free):
    if most is not None:
        (tmp_path / "memory.max").write_text(most + "\n")
    (tmp_path / "memory.current").write_text(used + "\n")
    (tmp_path / "memory.stat").write_text("anon 5\ninactive_file 0\n")
    (tmp_path / "cgroup").write_text("0::/\n")
    monkeypatch.setattr(memory, "OWN_GROUP", tmp_path / "cgroup")
    (tmp_path / "meminfo").write_text("MemTotal: 9 kB\nMemAvailable:  2 kB\n")
    monkeypatch.setattr(memory, "GROUP", tmp_path)
    monkeypatch.setattr(memory, "MEMINFO", tmp_path / "meminfo")
    assert free_bytes() == (2048 if free is None else free)


def test_the_tightest_group_counts_and_what_can_be_dropped_does_not(monkeypatch, tmp_path):
    (tmp_path / "cgroup").write_text("0::/outer/inner\n")
    (tmp_path / "outer" / "inner").mkdir(parents=True)
    for folder, most, used, dropped in ((tmp_path / "outer", 1000, 900, 300), (tmp_path / "outer/inner", 900, 100, 0)):
        (folder / "memory.max").write_text(f"{most}\n")
        (folder / "memory.current").write_text(f"{used}\n")
        (folder / "memory.stat").write_text(f"anon 5\ninactive_file {dropped}\n")
    monkeypatch.setattr(memory, "GROUP", tmp_path)
    monkeypatch.setattr(memory, "OWN_GROUP", tmp_path / "cgroup")
    assert free_bytes() == 400


def test_a_small_device_is_refused():
    class Small:
        platform = "gpu"

        def memory_stats(self):
            return {"bytes_limit": 10}

    with pytest.raises(UserError, match="give a smaller tile_size"):
        check_memory(plan(), Small())


def test_states_that_are_kept_count(monkeypatch):
    kept = plan(keep_states=True, replicates=20)
    needed = kept.host_bytes + fixed_bytes(kept)
    monkeypatch.setattr(memory, "free_bytes", lambda: needed - kept.kept_bytes / 2)
    monkeypatch.setattr(memory, "SPARE", 1.0)
    check_memory(dataclasses.replace(kept, keeps=False), workers()[0])
    with pytest.raises(UserError, match="mostly for states that are kept"):
        check_memory(kept, workers()[0])
