"""A space as a table, and in a notebook."""

from jaxbn.search import HYPERPARAMETERS, Choice, Float, Int, Space
from jaxbn.search.described import described

SPACE = Space(
    learning_rate=Float(1e-4, 1, scale="log"),
    b1=Float(0.8, 0.99, scale="one_minus_log", when={"optimizer": ["adam", "adamw"], "num_layers": 2}),
    batch_size=Int(32, 100_000),
    hidden_units=Choice(64, (64, 32)),
    optimizer=Choice("adam", "momentum"),
    dropout=0.25,
)


def test_a_line_for_each_hyperparameter():
    header, *lines = described(SPACE)
    assert header == ("hyperparameter", "values", "scale", "when", "what it is")
    assert [line[:4] for line in lines] == [
        ("learning_rate", "0.0001 to 1", "log", ""),
        ("b1", "0.8 to 0.99", "one_minus_log", "optimizer is adam or adamw and num_layers is 2"),
        ("batch_size", "32 to 100000", "linear", ""),
        ("hidden_units", "64, (64, 32)", "choice", ""),
        ("optimizer", "adam, momentum", "choice", ""),
        ("dropout", "0.25", "fixed", ""),
    ]
    assert [line[4] for line in lines] == [HYPERPARAMETERS[name].doc for name in SPACE]


def test_a_notebook_shows_the_table():
    made = SPACE._repr_html_()
    assert made.count("<tr>") == 7 and "optimizer is adam or adamw and num_layers is 2" in made
    assert not any(word in made for word in ("color", "src=", "href=", "<script"))


def test_a_space_is_written_as_it_was_declared():
    assert eval(repr(SPACE)) == SPACE
    assert repr(Space(learning_rate=Float(0.1, 1), optimizer="adam")) == (
        "Space(learning_rate=Float(0.1, 1), optimizer='adam')"
    )
