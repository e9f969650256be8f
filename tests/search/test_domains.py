"""The scales: section 2 of the notes as distributions, and what a domain refuses."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from jaxbn.errors import UserError
from jaxbn.search import Choice, Float, Int

N = 20_000
U = np.random.default_rng(0).random(N)
# Four standard errors of the share of N draws.
SLACK = 4 * math.sqrt(0.25 / N)

DOMAINS_BOTH_WAYS = [
    Float(-2, 3),
    Float(1e-10, 1e-4, scale="log"),
    Float(0.5, 0.9999, scale="one_minus_log"),
    Int(1, 7),
    Int(16, 256, scale="log"),
    Int(32, 256, scale="power_of_two"),
    Choice("a", "b", "c"),
]


def draws(domain):
    return np.array([domain.at(u) for u in U.tolist()])


def test_nine_tenths_of_uniform_draws_lie_above_a_tenth():
    assert abs((draws(Float(1e-4, 1)) > 0.1).mean() - 0.9) < SLACK


def test_a_log_scale_draws_a_tenth_in_every_tenth_of_a_decade():
    exponents = np.log10(draws(Float(1e-1, 1, scale="log")))
    shares = np.histogram(exponents, bins=np.linspace(-1, 0, 11))[0] / N
    assert np.abs(shares - 0.1).max() < SLACK
    four_decades = np.log10(draws(Float(1e-4, 1, scale="log")))
    shares = np.histogram(four_decades, bins=np.linspace(-4, 0, 41))[0] / N
    assert np.abs(shares - 0.025).max() < SLACK


def test_one_minus_log_draws_half_between_10_and_100_averaged_values():
    # 1 - beta = 10^r, r uniform on [-3, -1]: 0.9 averages 10 values, 0.999 a thousand.
    values = draws(Float(0.9, 0.999, scale="one_minus_log"))
    exponents = np.log10(1 - values)
    assert stats.kstest(exponents, stats.uniform(-3, 2).cdf).pvalue > 1e-3
    assert abs((values < 0.99).mean() - 0.5) < SLACK
    # Uniform draws would put nine tenths of them there.
    assert abs((draws(Float(0.9, 0.999)) < 0.99).mean() - 10 / 11) < SLACK


@pytest.mark.parametrize(
    ("domain", "low", "high"),
    [
        (Float(-2, 3), -2, 3),
        (Float(1e-10, 1e-4, scale="log"), 1e-10, 1e-4),
        (Float(0.5, 0.9999, scale="one_minus_log"), 0.5, 0.9999),
        (Int(1, 7), 1, 7),
        (Int(16, 256, scale="log"), 16, 256),
        (Int(32, 256, scale="power_of_two"), 32, 256),
    ],
)
def test_the_ends_belong_to_the_domain_and_values_rise_with_u(domain, low, high):
    assert domain.at(0.0) == low and domain.at(1.0) == high
    values = [domain.at(u) for u in np.linspace(0, 1, 1001).tolist()]
    assert values == sorted(values) and low <= min(values) and max(values) <= high
    assert {type(value) for value in values} == {float if isinstance(domain, Float) else int}


def test_whole_numbers_are_equally_likely():
    counts = np.bincount(draws(Int(3, 8)), minlength=9)[3:] / N
    assert np.abs(counts - 1 / 6).max() < SLACK and counts.sum() == 1


def test_powers_of_two_are_equally_likely_and_nothing_else_is_drawn():
    values, counts = np.unique(draws(Int(32, 256, scale="power_of_two")), return_counts=True)
    assert values.tolist() == [32, 64, 128, 256]
    assert np.abs(counts / N - 0.25).max() < SLACK


def test_whole_numbers_on_a_log_scale_have_their_share_of_the_logarithmic_range():
    values = draws(Int(16, 256, scale="log"))
    for k in (16, 17, 40, 100, 256):
        want = math.log((k + 1) / k) / math.log(257 / 16)
        assert abs((values == k).mean() - want) < SLACK
    assert abs((values < 64).mean() - math.log(64 / 16) / math.log(257 / 16)) < SLACK


def test_options_are_equally_likely():
    values = draws(Choice("a", "b", "c"))
    assert {value: round((values == value).mean(), 1) for value in "abc"} == dict.fromkeys("abc", 0.3)
    assert Choice("a", "b").at(1.0) == "b"
    assert Choice([4, 8], [2]).options == ((4, 8), (2,))


@given(st.integers(-50, 50), st.integers(1, 60))
def test_num_values_counts_what_at_can_give(low, count):
    domain = Int(low, low + count)
    assert domain.num_values == count + 1 == len({domain.at(u) for u in np.linspace(0, 1, 10_001).tolist()})


def test_num_values_of_the_others():
    assert Float(0, 1).num_values is None
    assert Int(32, 256, scale="power_of_two").num_values == 4
    assert Choice("a", "b", "c").num_values == 3


@pytest.mark.parametrize(
    ("make", "words"),
    [
        (lambda: Float(1, 1), "low must be below high"),
        (lambda: Float(2, 1), "low must be below high"),
        (lambda: Int(5, 4), "low must be below high"),
        (lambda: Float(0, 1, scale="log"), "needs low > 0"),
        (lambda: Float(-1, 1, scale="log"), "needs low > 0"),
        (lambda: Int(0, 8, scale="log"), "needs low > 0"),
        (lambda: Float(0.9, 1.0, scale="one_minus_log"), r"leaves \(0, 1\)"),
        (lambda: Float(0.0, 0.5, scale="one_minus_log"), r"leaves \(0, 1\)"),
        (lambda: Float(0.5, 1.5, scale="one_minus_log"), r"leaves \(0, 1\)"),
        (lambda: Int(3, 8, scale="power_of_two"), "bound 3"),
        (lambda: Int(0, 8, scale="power_of_two"), "bound 0"),
        (lambda: Int(4, 12, scale="power_of_two"), "bound 12"),
        (lambda: Float(0, 1, scale="lgo"), "did you mean 'log'"),
        (lambda: Float(0, 1, scale="power_of_two"), "unknown scale 'power_of_two'"),
        (lambda: Int(1, 8, scale="one_minus_log"), "unknown scale 'one_minus_log'"),
        (lambda: Float(0, math.inf), "no finite number"),
        (lambda: Float(math.nan, 1), "no finite number"),
        (lambda: Float("0", 1), "no finite number"),
        (lambda: Float(False, True), "no finite number"),
        (lambda: Int(1.5, 3), "no whole number"),
        (lambda: Choice(), "no options"),
    ],
)
def test_what_a_domain_refuses(make, words):
    with pytest.raises(UserError, match=words) as error:
        make()
    assert "\n" not in str(error.value)


def test_bounds_of_numpy_are_numbers():
    assert Int(np.int64(16), np.int64(256)) == Int(16, 256) and type(Int(np.int64(16), 32).low) is int
    assert Float(np.float32(0.5), np.float64(2)) == Float(0.5, 2.0)
    assert Choice((np.int64(8), np.int64(4)), 16).options == ((8, 4), 16)


def test_domains_with_conditions_are_hashable_and_equal_by_value():
    a = Float(0.9, 0.999, when={"optimizer": "momentum"})
    b = Float(0.9, 0.999, when={"optimizer": ["momentum"]})
    assert a == b and hash(a) == hash(b) and a != Float(0.9, 0.999)
    assert a.when == (("optimizer", ("momentum",)),)


@given(st.sampled_from(DOMAINS_BOTH_WAYS), st.floats(0, 1))
def test_share_is_the_inverse_of_at(domain, u):
    value = domain.at(u)
    if not isinstance(domain, Float):
        assert domain.at(domain.share(value)) == value
    else:
        assert domain.at(domain.share(value)) == pytest.approx(value, rel=1e-9)
        assert domain.share(value) == pytest.approx(u, abs=1e-6)


@pytest.mark.parametrize(
    "written",
    [
        "Float(0.1, 1)",
        "Float(0.0001, 1, scale='log')",
        "Int(32, 256, scale='power_of_two', when={'optimizer': 'adam'})",
        "Choice('adam', (64, 32), when={'num_layers': (1, 2)})",
    ],
)
def test_a_domain_is_written_as_it_is_declared(written):
    domain = eval(written)
    assert repr(domain) == written and eval(repr(domain)) == domain
