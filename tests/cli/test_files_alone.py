"""A real table, swept, predicted and scored through files alone."""

import csv
import json
import random

import pytest

from jaxbn.cli import main

COLOURS, TOWNS = ("red", "green", "blue", "grey"), ("Rome", "Oslo", "Lima")
SPACE = """
[num_layers]
value = 1
[hidden_units]
low = 16
high = 32
scale = "log"
[learning_rate]
low = 1e-3
high = 0.1
scale = "log"
[batch_size]
value = 256
"""


def rows(num_rows):
    """Numbers, text and missing values; the class follows from three of the columns, but not always."""
    draw = random.Random(0)
    for number in range(num_rows):
        size, weight, colour, town = (
            draw.gauss(0, 1),
            draw.gauss(5, 2),
            draw.choice(COLOURS),
            draw.choice(TOWNS),
        )
        kind = 4 * (size > 0) + 2 * (colour in ("red", "blue")) + (weight > 5)
        if draw.random() < 0.1:
            kind = draw.randrange(8)
        yield {
            "id": f"row-{number}",
            "size": "" if draw.random() < 0.02 else f"{size:.4f}",
            "weight": "?" if draw.random() < 0.02 else f" {weight:.4f}",
            "colour": "NA" if draw.random() < 0.02 else colour,
            "town": town,
            "kind": "kind " + "ABCDEFGH"[kind],
        }


@pytest.fixture
def here(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    table = list(rows(20_000))
    for name, part in (("learn.csv", table[:16_000]), ("judge.csv", table[16_000:])):
        with open(name, "w", newline="") as file:
            writer = csv.DictWriter(file, table[0])
            writer.writeheader()
            writer.writerows(part)
    (tmp_path / "space.toml").write_text(SPACE)
    return tmp_path


def test_files_alone(here, capsys):
    argv = "sweep learn.csv --target kind --drop id --test-data judge.csv --space space.toml --out run --json"
    assert main([*argv.split(), "--num-configs", "4", "--num-epochs", "3"]) == 0
    record = json.loads(capsys.readouterr().out)
    assert main(["predict", "run", "judge.csv", "--out", "predictions.csv"]) == 0

    with open("judge.csv", newline="") as file:
        given = [row["kind"] for row in csv.DictReader(file)]
    with open("predictions.csv", newline="") as file:
        predicted = list(csv.DictReader(file))
    assert len(predicted) == len(given) == 4_000
    assert list(predicted[0]) == ["prediction", *(f"probability_kind {letter}" for letter in "ABCDEFGH")]
    accuracy = sum(row["prediction"] == kind for row, kind in zip(predicted, given, strict=True)) / len(given)
    assert record["test"]["accuracy"] == pytest.approx(accuracy, abs=1e-6)
    # The rule holds for nine rows in ten.
    assert accuracy > 0.75
    assert record["num_train"] == 12_800 and len(record["baselines"]) == 2
