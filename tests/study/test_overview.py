"""The results of a sweep at first sight."""

import re

import pytest

import jaxbn
from jaxbn import Choice, Float, Int, Space
from jaxbn.cli.board import ties

SPACE = Space(
    learning_rate=Float(1e-3, 0.1, scale="log"), hidden_units=Int(2, 8), optimizer=Choice("adam", "momentum"), b2=0.9
)


@pytest.fixture(scope="module")
def results(tmp_path_factory):
    path = tmp_path_factory.mktemp("data") / "<b>plants.csv"
    rows = [f"{number % 7},{number % 5},{'<i>' if number % 7 > 3 else 'other'}" for number in range(90)]
    path.write_text("x,z,kind\n" + "\n".join(rows) + "\n")
    return jaxbn.sweep(SPACE, path, num_configs=14, num_epochs=3)


def test_a_line_says_how_much_and_who_won(results):
    summary = results.summary
    value, error = summary.best.validation["accuracy"], summary.standard_error
    found = f"{value:.4f} ± {error:.4f}" if error else f"{value:.4f}"
    assert repr(results) == (
        f"Results({summary.num_trials} trials of <b>plants.csv, {summary.num_epochs} epochs in all; best is trial "
        f"{results.best.trial}: accuracy {found} in validation, {results.test['accuracy']:.4f} in test)"
    )


def test_a_notebook_shows_the_ten_highest_ranked(results):
    made = results._repr_html_()
    assert made.count("<tr>") == 11 and made.count("<table>") == 1
    header = re.findall(r"<th>(.*?)</th>", made)
    assert header == ["#", "trial", "accuracy", "loss", "learning_rate", "hidden_units", "optimizer"]
    first = re.findall(r"<td>(.*?)</td>", made)[: len(header)]
    row = results.leaderboard(1).row(0, named=True)
    assert first[:3] == ["1", str(row["trial"]), f"{row['valid_accuracy']:.4f}"] and first[6] == row["optimizer"]
    assert ties(results.summary) in made
    assert "&lt;b&gt;plants.csv" in made and "<b>" not in made
    # The name of the file is enough, and nothing is fetched or coloured.
    assert "/" not in re.sub(r"</\w+>", "", made)
    assert not any(word in made for word in ("color", "src=", "href=", "<script"))


def test_several_seeds_have_their_error_in_the_table():
    results = jaxbn.sweep(SPACE, "iris", num_configs=3, num_epochs=2, replicates=2)
    made = results._repr_html_()
    assert made.count("<tr>") == 4 and len(re.findall(r"<td>0\.\d{4} ± 0\.\d{4}</td>", made)) == 3
    assert "6 trials of iris" in repr(results)


def test_data_without_a_name_and_numbers():
    x = [[float(number), number % 3] for number in range(60)]
    results = jaxbn.sweep(Space(hidden_units=4), (x, [row[0] for row in x]), num_configs=1, num_epochs=1)
    assert re.match(r"Results\(1 trial, \d+ epochs? in all; best is trial 0: r2 ", repr(results))
