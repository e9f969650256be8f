"""Spaces from Python and TOML: order, conditions, round trips, and each mistake with its line."""

import itertools
import json

import pytest

from jaxbn.errors import UserError
from jaxbn.search import HYPERPARAMETERS, Choice, Float, Int, Space, propose

GOOD = (
    """
# A comment.
[learning_rate]
low = 1e-4
high = 1
scale = "log"

[momentum]
low = 0.9
high = 0.999
scale = "one_minus_log"
when = { optimizer = ["momentum", "nesterov"] }

[optimizer]
choices = ["momentum", "nesterov", "adam"]

[batch_size]
low = 32
high = 256
scale = "power_of_two"

[hidden_units]
choices = [[64, 32], [16]]

[num_epochs_is_not_here]
""".replace("[num_epochs_is_not_here]\n", "")
    + '\n[activation]\nvalue = "tanh"\n'
)


def toml(tmp_path, text):
    path = tmp_path / "space.toml"
    path.write_text(text, encoding="utf-8")
    return path


def test_iterating_gives_the_declared_names_in_order():
    names = ["momentum", "learning_rate", "activation", "batch_size"]
    values = dict(zip(names, (Float(0.5, 0.9), 0.1, Choice("relu", "tanh"), 32), strict=True))
    for order in itertools.permutations(names):
        assert list(Space(**{name: values[name] for name in order})) == list(order)


def test_toml_says_what_python_says(tmp_path):
    space = Space.from_toml(toml(tmp_path, GOOD))
    assert space == Space(
        learning_rate=Float(1e-4, 1, scale="log"),
        momentum=Float(0.9, 0.999, scale="one_minus_log", when={"optimizer": ["momentum", "nesterov"]}),
        optimizer=Choice("momentum", "nesterov", "adam"),
        batch_size=Int(32, 256, scale="power_of_two"),
        hidden_units=Choice((64, 32), (16,)),
        activation="tanh",
    )
    assert list(space)[::5] == ["learning_rate", "activation"]
    assert {c.widths for c in propose.random(0, space, None, 20)} == {(64, 32), (16,)}


def test_json_and_back(tmp_path):
    for space in (Space.default(), Space.from_toml(toml(tmp_path, GOOD)), Space(clip_norm=None)):
        again = Space.from_json(json.loads(json.dumps(space.to_json())))
        assert again == space and list(again) == list(space)
        assert propose.random(3, again, None, 5) == propose.random(3, space, None, 5)


def test_a_condition_decides_whatever_the_order_of_declaration():
    momentum = Float(0.5, 0.6, when={"optimizer": "momentum"})
    optimizer = Choice("momentum", "adam")
    for space in (Space(momentum=momentum, optimizer=optimizer), Space(optimizer=optimizer, momentum=momentum)):
        drawn = propose.random(0, space, None, 30)
        for config in drawn:
            assert (0.5 <= config.momentum <= 0.6) == (config.optimizer == "momentum")
        assert {config.momentum for config in drawn if config.optimizer == "adam"} == {0.9}
        assert len({config.momentum for config in drawn}) > 5


def test_a_condition_on_a_fixed_value_or_on_a_default():
    when = {"normalization": "none", "optimizer": ["adam"]}
    space = Space(dropout=Float(0.1, 0.5, when=when), normalization="none")
    assert space.config({"dropout": 0.5}).dropout == pytest.approx(0.3)
    assert Space(dropout=Float(0.1, 0.5, when=when)).config({"dropout": 0.5}).dropout == 0


def test_what_is_not_named_takes_its_default():
    config = Space(learning_rate=0.1).config({})
    assert config.learning_rate == 0.1
    assert all(
        getattr(config, name) == getattr(Space().config({}), name) for name in set(HYPERPARAMETERS) - {"learning_rate"}
    )


@pytest.mark.parametrize(
    ("domains", "words"),
    [
        ({"learning_rat": 0.1}, "unknown hyperparameter 'learning_rat'.*'learning_rate'"),
        ({"learning_rate": Float(0, 1)}, "learning_rate = 0"),
        ({"learning_rate": (1e-4, 1)}, r"learning_rate = \(0.0001, 1\) is neither a domain nor a value: write Float"),
        ({"momentum": Float(0.5, 1)}, "momentum = 1"),
        ({"dropout": Float(0.0, 1.5)}, "dropout = 1.5"),
        ({"batch_size": Float(1, 8)}, "use Int, not Float"),
        ({"optimizer": Float(0, 1)}, "use Choice, not Float"),
        ({"optimizer": Choice("adam", "adamm")}, "'adamm'.*did you mean 'adam'"),
        ({"batch_size": Choice(32, 0)}, "batch_size = 0"),
        ({"activation": "rel"}, "'rel'.*did you mean 'relu'"),
        ({"momentum": Float(0.5, 0.9, when={"optimiser": "adam"})}, "'optimiser'.*did you mean 'optimizer'"),
        ({"momentum": Float(0.5, 0.9, when={"optimizer": "mom"})}, "unknown value of optimizer 'mom'"),
        ({"momentum": Float(0.5, 0.9, when={"momentum": 0.5})}, "momentum depends on momentum"),
        (
            {
                "dropout": Float(0, 0.5, when={"weight_decay": 0.1}),
                "weight_decay": Choice(0.1, 0.2, when={"optimizer": "adam"}),
            },
            "dropout depends on weight_decay, which has a condition of its own",
        ),
        ({"hidden_units": (8, 4), "num_layers": Int(1, 3)}, "names 2 layers but num_layers is 1"),
    ],
)
def test_what_a_space_refuses(domains, words):
    with pytest.raises(UserError, match=words) as error:
        Space(**domains)
    assert "\n" not in str(error.value)


@pytest.mark.parametrize(
    ("text", "line", "words"),
    [
        ("[momentum]\nvalue = 0.5\n\n[learning_rat]\nvalue = 0.1\n", 4, "unknown hyperparameter.*'learning_rate'"),
        ('[learning_rate]\nlow = 1e-4\nhigh = 1\nscal = "log"\n', 4, "unknown key 'scal'.*did you mean 'scale'"),
        ("[momentum]\nvalue = 0.5\n[dropout]\nlow = 0.5\nhigh = 0.1\n", 3, "low must be below high"),
        ('[learning_rate]\nlow = 0\nhigh = 1\nscale = "log"\n', 1, "needs low > 0"),
        ('\n\n[learning_rate]\nlow = 0.1\nhigh = 1\nscale = "lgo"\n', 6, "unknown scale 'lgo'.*'log'"),
        ('[optimizer]\nchoices = ["adam", "momentm"]\n', 2, "'momentm'.*did you mean 'momentum'"),
        ('[optimizer]\nchoices = "adam"\n', 1, "is not a list"),
        ("learning_rate = 0.1\n", 1, r"write \[learning_rate\]"),
        ("[learning_rate]\nlow = 0.1\n", 1, "give low and high"),
        ("[learning_rate]\n", 1, "has the keys none"),
        ("[learning_rate]\nvalue = 0.1\nlow = 0.2\nhigh = 1\n", 1, "give low and high"),
        ('[momentum]\nlow = 0.5\nhigh = 0.9\nwhen = "adam"\n', 1, "is not a table"),
        ('[dropout]\nvalue = 0\n[momentum]\nlow = 0.5\nhigh = 0.9\nwhen = {optimzer = "adam"}\n', 6, "'optimzer'"),
        ("[momentum]\nvalue = 1.5\n", 1, "out of range"),
        ('[momentum]\nlow = "a"\nhigh = 0.9\n', 1, "no finite number"),
    ],
)
def test_each_mistake_in_a_file_is_told_with_its_line(tmp_path, text, line, words):
    path = toml(tmp_path, text)
    with pytest.raises(UserError, match=words) as error:
        Space.from_toml(path)
    assert f"{path}, line {line}: " in str(error.value)
    assert "\n" not in str(error.value)


def test_what_is_not_toml_says_where(tmp_path):
    with pytest.raises(UserError, match=r"is not TOML.*line 2"):
        Space.from_toml(toml(tmp_path, "[learning_rate]\nlow = = 1\n"))
    (tmp_path / "binary.toml").write_bytes(b"\xff\xfe\x00")
    with pytest.raises(UserError, match="is not TOML"):
        Space.from_toml(tmp_path / "binary.toml")
    with pytest.raises(UserError, match="cannot read the space"):
        Space.from_toml(tmp_path / "absent.toml")
    with pytest.raises(UserError, match="cannot read the space"):
        Space.from_toml(tmp_path)


def test_the_last_table_that_disagrees_with_another_is_refused_too(tmp_path):
    text = "[hidden_units]\nvalue = [8, 4]\n[num_layers]\nvalue = 3\n"
    with pytest.raises(UserError, match="names 2 layers but num_layers is 3"):
        Space.from_toml(toml(tmp_path, text))


def test_a_range_of_whole_numbers_is_none_of_real_ones():
    # From a file it would come back as another domain, and propose other values.
    with pytest.raises(UserError, match="warmup_epochs is a real number: use Float, not Int, or Choice"):
        Space(warmup_epochs=Int(0, 5))


def test_conditions_on_tuples_come_back_from_json():
    space = Space(dropout=Float(0.1, 0.5, when={"hidden_units": [(8, 4)]}), hidden_units=Choice((8, 4), 16))
    again = Space.from_json(json.loads(json.dumps(space.to_json())))
    assert again == space and again.domains["dropout"].when == space.domains["dropout"].when
    assert again.config({"dropout": 0.5, "hidden_units": 0.1}).dropout == pytest.approx(0.3)


@pytest.mark.parametrize("when", ["optimizer", ("optimizer", "adam"), [("optimizer", "adam")], 3])
def test_a_condition_is_a_dict(when):
    with pytest.raises(UserError, match="is no dict: write when="):
        Float(0, 1, when=when)
