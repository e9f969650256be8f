"""What a person may say of a sweep: each mistake is one sentence, whatever its type."""

import pytest

import jaxbn
from jaxbn.errors import UserError
from jaxbn.search import Config, Space
from jaxbn.study.settings import Settings, enqueued, settings_of

RATE = {"learning_rate": 0.1}


@pytest.mark.parametrize(
    ("given", "message"),
    [
        (RATE, "enqueue = {'learning_rate': 0.1} is no list of configurations"),
        (Config(), r"enqueue = Config\(.*\) is no list of configurations"),
        ("configs.toml", "enqueue = 'configs.toml' is no list"),
        (None, "enqueue = None is no list"),
        (3, "enqueue = 3 is no list"),
        ({"learning_rate"}, "enqueue = {'learning_rate'} is no list"),
        ([1, 2], "enqueue holds 1, which is no configuration"),
        ([RATE, "adam"], "enqueue holds 'adam', which is no configuration"),
        ([[RATE]], "enqueue holds .*, which is no configuration"),
        ([{1: 2}], "enqueue holds {1: 2}, which is no configuration"),
        ([RATE] * 3, "3 configurations are enqueued and num_configs is 2"),
    ],
)
def test_enqueue(given, message):
    with pytest.raises(UserError, match=message) as caught:
        settings_of({"num_configs": 2, "enqueue": given})
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("name", ["factor", "valid_fraction", "test_fraction", "time_budget", "target_score"])
@pytest.mark.parametrize("value", ["3", "60s", float("nan"), float("inf"), True, [0.5], {}])
def test_numbers(name, value):
    with pytest.raises(UserError, match=f"{name} = .* is no number: give one, such as") as caught:
        settings_of({name: value})
    assert repr(value) in str(caught.value) and "\n" not in str(caught.value)


@pytest.mark.parametrize("name", ["factor", "valid_fraction", "test_fraction"])
def test_numbers_that_cannot_be_left_out(name):
    with pytest.raises(UserError, match=f"{name} = None is no number"):
        settings_of({name: None})


@pytest.mark.parametrize("seconds", [0, -1.0])
def test_time_is_above_zero(seconds):
    with pytest.raises(UserError, match="is no number of seconds above 0"):
        settings_of({"time_budget": seconds})


def test_what_makes_sense_is_taken():
    config = Config(learning_rate=0.2)
    settings = settings_of({"enqueue": (RATE, config), "factor": 4, "time_budget": None, "target_score": -3})
    first, second = enqueued(settings, Space(num_layers=1))
    assert (first.learning_rate, first.num_layers) == (0.1, 1) and second is config
    assert Settings(enqueue=[]).enqueue == [] and settings_of({"time_budget": 60}).time_budget == 60


@pytest.mark.parametrize(("metric", "score"), [("accuracy", 80), ("loss", -1)])
def test_a_target_that_no_score_reaches_is_refused(metric, score):
    with pytest.raises(UserError, match=f"target_score = {score} is beyond the best {metric}"):
        jaxbn.plan(None, "iris", metric=metric, target_score=score)
