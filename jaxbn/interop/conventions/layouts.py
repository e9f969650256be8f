"""How each framework names, orders and lays out the arrays of a dense network with batch normalisation.

The network is a chain of (dense, normalisation, activation) with a dense layer at its end. Kernels of jaxbn are
[F, H]: inputs by outputs.
"""

import numpy as np

from jaxbn.interop.conventions.convention import Entry, Form, Held, Layout

PLAIN = Form(np.asarray, np.asarray)
TRANSPOSED = Form(np.transpose, np.transpose)
"""[H, F]."""
ROW = Form(lambda vector: vector[None, :], lambda row: np.reshape(row, -1))
"""[1, H]: a vector with the axes of a mini-batch."""
ONE = Form(lambda scalar: np.reshape(scalar, 1), lambda one: np.reshape(one, ()))
INT64 = Form(lambda count: np.asarray(np.round(count), np.int64), lambda count: np.asarray(count, np.float32))
INT32 = Form(lambda count: np.asarray(np.round(count), np.int32), lambda count: np.asarray(count, np.float32))
FIRST_TIME = Form(lambda count: np.asarray(count == 0), lambda first: np.where(first, np.float32(0), np.float32(1)))


def _entries(layer: str, /, form: Form = PLAIN, **leaves: Held) -> tuple[Entry, ...]:
    return tuple(Entry(layer, leaf, holds, form) for leaf, holds in leaves.items())


def _chain(kernel: Form, norm: tuple[Entry, ...]) -> Layout:
    """Names are places in a chain of layers, as torch has them."""
    weight, bias = Entry("{dense}.", "weight", "kernel", kernel), Entry("{dense}.", "bias", "bias", PLAIN)
    return Layout((weight, *norm), (weight, bias))


TORCH = _chain(
    TRANSPOSED,
    (
        *_entries("{norm}.", weight="gamma", bias="beta", running_mean="mean", running_var="statistic"),
        *_entries("{norm}.", INT64, num_batches_tracked="seen"),
    ),
)

PADDLE = _chain(PLAIN, _entries("{norm}.", weight="gamma", bias="beta", _mean="mean", _variance="statistic"))

GLUON = _chain(
    TRANSPOSED, _entries("{norm}.", gamma="gamma", beta="beta", running_mean="mean", running_var="statistic")
)

_MXNET_DENSE = (
    *_entries("arg:fullyconnected{index}_", TRANSPOSED, weight="kernel"),
    *_entries("arg:fullyconnected{index}_", bias="bias"),
)
MXNET = Layout(
    hidden=(*_MXNET_DENSE[:1], *_entries("arg:batchnorm{index}_", gamma="gamma", beta="beta")),
    output=_MXNET_DENSE,
    apart=_entries("aux:batchnorm{index}_", moving_mean="mean", moving_var="statistic"),
)

_CAFFE_DENSE = (
    Entry("ip{number}.", "blobs[0]", "kernel", TRANSPOSED),
    Entry("ip{number}.", "blobs[1]", "bias", PLAIN),
)
CAFFE = Layout(
    hidden=(
        *_CAFFE_DENSE[:1],
        Entry("bn{number}.", "blobs[0]", "mean", PLAIN),
        Entry("bn{number}.", "blobs[1]", "statistic", PLAIN),
        Entry("bn{number}.", "blobs[2]", "seen", ONE),
        Entry("scale{number}.", "blobs[0]", "gamma", PLAIN),
        Entry("scale{number}.", "blobs[1]", "beta", PLAIN),
    ),
    output=_CAFFE_DENSE,
)

_CAFFE2_DENSE = (*_entries("fc{number}_", TRANSPOSED, w="kernel"), *_entries("fc{number}_", b="bias"))
CAFFE2 = Layout(
    # `brew.fc` always makes a bias.
    hidden=(*_CAFFE2_DENSE, *_entries("bn{number}_", s="gamma", b="beta", rm="mean", riv="statistic")),
    output=_CAFFE2_DENSE,
)

_CNTK_DENSE = _entries("dense{number}.", W="kernel", b="bias")
CNTK = Layout(
    hidden=(
        *_CNTK_DENSE[:1],
        *_entries("bn{number}.", scale="gamma", bias="beta", aggregate_mean="mean", aggregate_variance="statistic"),
        *_entries("bn{number}.", aggregate_count="seen"),
    ),
    output=_CNTK_DENSE,
)


def _dl4j(stored: str) -> Layout:
    dense = _entries("{dense}_", W="kernel", b="bias")
    norm = _entries("{norm}_", gamma="gamma", beta="beta", mean="mean")
    return Layout((*dense[:1], *norm, Entry("{norm}_", stored, "statistic", PLAIN)), dense)


DL4J, DL4J_LEGACY = _dl4j("log10stdev"), _dl4j("var")

_KERAS_DENSE = _entries("dense{tail}/", kernel="kernel", bias="bias")
_KERAS_NORM = _entries(
    "batch_normalization{tail}/", gamma="gamma", beta="beta", moving_mean="mean", moving_variance="statistic"
)
KERAS = Layout((*_KERAS_DENSE[:1], *_KERAS_NORM), _KERAS_DENSE)

_LASAGNE_DENSE = _entries("dense{number}.", W="kernel", b="bias")
LASAGNE = Layout(
    hidden=(
        *_LASAGNE_DENSE[:1],
        *_entries("bn{number}.", beta="beta", gamma="gamma", mean="mean", inv_std="statistic"),
    ),
    output=_LASAGNE_DENSE,
)

_THEANO_DENSE = _entries("dense{number}.", W="kernel", b="bias")
THEANO = Layout(
    # Theano has no layers: the caller names these. The arguments of its function are named so, in this order.
    hidden=(
        *_THEANO_DENSE[:1],
        *_entries("bn{number}.", gamma="gamma", beta="beta", running_mean="mean", running_var="statistic"),
    ),
    output=_THEANO_DENSE,
)

_FLAX_DENSE = _entries("params/Dense_{index}/", kernel="kernel", bias="bias")
FLAX = Layout(
    hidden=(*_FLAX_DENSE[:1], *_entries("params/BatchNorm_{index}/", scale="gamma", bias="beta")),
    output=_FLAX_DENSE,
    apart=_entries("batch_stats/BatchNorm_{index}/", mean="mean", var="statistic"),
)

_HAIKU_DENSE = _entries("linear{tail}/", w="kernel", b="bias")
_HAIKU_STATE = "batch_norm{tail}/~/"
HAIKU = Layout(
    hidden=(*_HAIKU_DENSE[:1], *_entries("batch_norm{tail}/", ROW, scale="gamma", offset="beta")),
    output=_HAIKU_DENSE,
    apart=(
        Entry(_HAIKU_STATE, "mean_ema/counter", "seen", INT32),
        Entry(_HAIKU_STATE, "mean_ema/hidden", "mean", ROW),
        Entry(_HAIKU_STATE, "mean_ema/average", "mean_read", ROW),
        Entry(_HAIKU_STATE, "var_ema/counter", "seen", INT32),
        Entry(_HAIKU_STATE, "var_ema/hidden", "statistic", ROW),
        Entry(_HAIKU_STATE, "var_ema/average", "statistic_read", ROW),
    ),
)


def _equinox(state: tuple[Entry, ...]) -> Layout:
    weight = Entry("layers[{dense}].", "weight", "kernel", TRANSPOSED)
    bias = Entry("layers[{dense}].", "bias", "bias", PLAIN)
    norm = _entries("layers[{norm}].", weight="gamma", bias="beta")
    return Layout((weight, *norm), (weight, bias), apart=state)


EQUINOX = _equinox(
    (
        Entry("layers[{norm}].", "ema_first_time_index", "seen", FIRST_TIME),
        Entry("layers[{norm}].", "ema_state_index[0]", "mean", PLAIN),
        Entry("layers[{norm}].", "ema_state_index[1]", "statistic", PLAIN),
    )
)
EQUINOX_BATCH = _equinox(
    (
        Entry("layers[{norm}].", "batch_counter", "seen", INT32),
        Entry("layers[{norm}].", "batch_state_index[0]", "mean", PLAIN),
        Entry("layers[{norm}].", "batch_state_index[1]", "statistic", PLAIN),
    )
)
