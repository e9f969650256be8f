"""The doctor passes the installed JAX, knows the bad releases, and each canary notices a wrong program."""

import json
import tomllib
from pathlib import Path

import jax
import numpy as np
import pytest

from jaxbn import UserError, doctor
from jaxbn.cli.doctor import examine
from jaxbn.engine import cache

CANARIES = [canary.name for canary in doctor.CANARIES]
NAMES = [*CANARIES, "the cost of a loop"]


@pytest.fixture(scope="module")
def report():
    return doctor.diagnose()


def test_the_installed_release_passes(report):
    assert report.ok, [check.detail for check in report.checks if not check.ok]
    assert [check.name for check in report.checks] == NAMES
    assert report.devices and set(report.versions) == {"python", "jax", "jaxlib", "flax", "optax", "numpy"}


def test_a_known_bad_release_fails_though_every_canary_passes(report):
    assert not doctor.Report(report.versions, "cpu", report.devices, "bad", report.checks).ok


def test_the_report_as_json(report):
    read = json.loads(report.to_json())
    assert read["ok"] is True
    assert read["known_bad"] is None
    assert read["versions"]["jax"] == jax.__version__
    assert [check["name"] for check in read["checks"]] == NAMES


@pytest.mark.parametrize(
    ("version", "backend", "words"),
    [
        ("0.10.2", "cpu", "39103"),
        ("0.10.2", "gpu", "39336"),
        ("0.11.0", "cpu", "40633"),
        ("0.11.0", "gpu", "40633"),
        ("0.11.1", "tpu", "40633"),
    ],
)
def test_known_bad_releases(version, backend, words):
    verdict = doctor.known_bad(version, backend)
    assert verdict is not None and version in verdict and words in verdict


@pytest.mark.parametrize("version", ["0.10.1", "0.11.2", "0.12.0.1", "0.10.20"])
@pytest.mark.parametrize("backend", ["cpu", "gpu", "tpu"])
def test_other_releases_are_not_known_to_be_bad(version, backend):
    assert doctor.known_bad(version, backend) is None


def test_the_package_refuses_to_install_with_the_known_bad_releases():
    project = tomllib.loads((Path(__file__).parents[1] / "pyproject.toml").read_text())["project"]
    for name in ("jax", "jaxlib"):
        (requirement,) = [text for text in project["dependencies"] if text.startswith(f"{name}>")]
        assert {part[2:] for part in requirement.split(",") if part.startswith("!=")} == {
            release.jaxlib for release in doctor.KNOWN_BAD
        }


@pytest.mark.parametrize("canary", doctor.CANARIES, ids=CANARIES)
@pytest.mark.parametrize("wrong", [1.01, np.nan, np.inf])
def test_one_wrong_number_is_noticed(canary, wrong):
    def program():
        numbers = canary.oracle()
        numbers.flat[np.argmax(np.abs(numbers))] *= wrong
        return numbers

    check = doctor.run(canary._replace(program=program))
    assert not check.ok
    assert check.detail.startswith("1 of ")


def _squares_read_from_the_first_rows():
    # jaxlib 0.10.2 wrote the rows above 32,768 from others.
    return np.concatenate([np.concatenate([part[:32_768], part[: len(part) - 32_768]]) for part in _squares()])


def _squares():
    right = _canary("sums of squares").oracle()
    return right[:32_769], right[32_769:]


def _bias_unscaled():
    a, b, bias = (np.asarray(x, np.float64) for x in (doctor._A, doctor._B, doctor._BIAS))
    return np.concatenate([doctor._SCALE * (a @ b) + bias, b @ b + bias, b @ b + bias[:, None]])


def _bias_along_the_wrong_axis():
    a, b, bias = (np.asarray(x, np.float64) for x in (doctor._A, doctor._B, doctor._BIAS))
    return np.concatenate([doctor._SCALE * (a @ b + bias), b @ b + bias, b @ b + bias])


def _one_pass_variance():
    mean = doctor._OFFSET.mean(1, dtype=np.float32)
    return np.stack([mean, (doctor._OFFSET**2).mean(1, dtype=np.float32) - mean**2], axis=1)


def _members_in_another_order():
    together, alone = _canary("training step").program()
    return np.stack([together[::-1], alone])


def _canary(words):
    (canary,) = [canary for canary in doctor.CANARIES if words in canary.name]
    return canary


@pytest.mark.parametrize(
    ("words", "program"),
    [
        ("sums of squares", _squares_read_from_the_first_rows),
        ("bias", _bias_unscaled),
        ("bias", _bias_along_the_wrong_axis),
        ("batch statistics", _one_pass_variance),
        ("training step", _members_in_another_order),
    ],
)
def test_the_published_defects_are_noticed(words, program):
    assert not doctor.run(_canary(words)._replace(program=program)).ok


def test_a_program_that_xla_cannot_run_is_a_failed_check():
    def program():
        raise jax.errors.JaxRuntimeError("INTERNAL: no such kernel")

    check = doctor.run(doctor.CANARIES[0]._replace(program=program))
    assert not check.ok
    assert "no such kernel" in check.detail


def test_the_training_oracle_is_the_slope_of_the_loss():
    # The oracle's gradients are written by hand: central differences of a loss say that they are right.
    x, y, w1, gamma, beta, w2 = (
        np.asarray(array, np.float64) for array in (doctor._X, doctor._Y, *(weights[0] for weights in doctor._WEIGHTS))
    )

    def loss(w1, gamma, beta, w2):
        z = x @ w1
        normed = (z - z.mean(0)) / np.sqrt(((z - z.mean(0)) ** 2).mean(0) + doctor._EPSILON)
        outputs = np.tanh(gamma * normed + beta) @ w2
        return np.mean(np.log(np.exp(outputs).sum(1)) - (outputs * y).sum(1))

    before = np.concatenate([part.ravel() for part in (w1, gamma, beta, w2)])
    gradient = (before - doctor._training_oracle()[0][0]) / float(doctor._RATES[0])
    ends = np.cumsum([w1.size, gamma.size, beta.size])

    def at(flat):
        first, second, third, fourth = np.split(flat, ends)
        return loss(first.reshape(w1.shape), second, third, fourth.reshape(w2.shape))

    bumps = 1e-5 * np.eye(before.size)
    slopes = [(at(before + bump) - at(before - bump)) / 2e-5 for bump in bumps]
    np.testing.assert_allclose(gradient, slopes, rtol=1e-6, atol=1e-8)


@pytest.mark.parametrize(("power", "ok"), [(1, True), (1.5, True), (2, False), (3, False)])
def test_a_loop_whose_cost_grows_with_the_square_is_noticed(power, ok):
    check = doctor.loop_cost(lambda steps: steps**power)
    assert check.ok is ok and ("not twice" in check.detail) is not ok


def test_a_machine_is_examined_once(tmp_path, monkeypatch):
    examined = []
    diagnose = doctor.diagnose

    def counting():
        examined.append(1)
        return diagnose()

    monkeypatch.setattr(doctor, "diagnose", counting)
    monkeypatch.setattr(cache, "kept_in", lambda: tmp_path)
    for _ in range(2):
        examine(strict=True)
    assert len(examined) == 1
    (path,) = tmp_path.iterdir()
    path.write_text(path.read_text().replace(jax.__version__, "0.0.1"))
    examine(strict=True)
    path.write_text("{")
    examine(strict=True)
    assert len(examined) == 3


def test_wrong_numbers_are_warned_of_and_refused_if_asked(tmp_path, monkeypatch):
    broken = doctor.CANARIES[0]._replace(program=lambda: doctor.CANARIES[0].oracle() + 1)
    monkeypatch.setattr(doctor, "CANARIES", (broken,))
    monkeypatch.setattr(cache, "kept_in", lambda: tmp_path)
    with pytest.warns(UserWarning, match=r"DO NOT TRUST THIS SWEEP: sums of squares.*numbers are wrong"):
        examine(strict=False)
    # What was remembered is refused too.
    with pytest.raises(UserError, match=r"computes wrong numbers .*leave --strict out"):
        examine(strict=True)


def test_a_known_bad_release_is_warned_of_where_nothing_is_kept(monkeypatch):
    tried = []
    monkeypatch.setattr(cache, "kept_in", lambda: None)
    monkeypatch.setattr(doctor, "diagnose", lambda: tried.append(1))
    examine(strict=True)
    monkeypatch.setattr(doctor, "signature", lambda: {"jaxlib": "0.10.2"})
    monkeypatch.setattr(jax, "default_backend", lambda: "cpu")
    with pytest.warns(UserWarning, match="39103") as told:
        examine(strict=False)
    assert len(told) == 1 and tried == []
