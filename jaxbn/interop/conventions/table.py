"""The table: a row for each framework. Everything else in this package reads it."""

import dataclasses

from jaxbn.errors import unknown
from jaxbn.interop.conventions import layouts
from jaxbn.interop.conventions.averaging import Cumulative, Debiased, Ema, FirstReplaces, SumAndScale, TimeConstant
from jaxbn.interop.conventions.convention import Convention
from jaxbn.interop.conventions.statistic import (
    INVERSE_STD,
    LOG10_STD,
    VARIANCE,
    VARIANCE_PLUS_EPSILON,
    biased,
    unbiased,
    unbiased_less_epsilon,
)

NUMBERS = "worked numbers"
"""Checked against numbers worked out by hand from the framework's source, which was not run. What is checked live was
also trained beside the framework itself, 20 steps from the same weights: weights, statistics and predictions agree to
1e-5."""

_CAFFE2 = Convention(
    name="caffe2",
    framework="Caffe2",
    layer="brew.spatial_bn (CPU)",
    averaging=Ema(0.9),
    argument="momentum=0.9, of the old",
    correction=biased,
    statistic=VARIANCE,
    epsilon=1e-5,
    layout=layouts.CAFFE2,
    source="pytorch@b89ea1fa:caffe2/operators/spatial_batch_norm_op.h",
    checked=NUMBERS,
    notes=(
        "The blob _riv (running inverse variance) holds the plain variance.",
        "The operator takes 3 or more axes: a dense layer gets two axes of length 1.",
        "The cuDNN engine averages the unbiased variance and raises epsilon to 1e-5.",
    ),
)

_DL4J = Convention(
    name="dl4j",
    framework="DL4J 1.0.0-beta4 and later",
    layer="BatchNormalization",
    averaging=Ema(0.9),
    argument="decay=0.9, of the old",
    correction=biased,
    statistic=LOG10_STD,
    epsilon=1e-5,
    layout=layouts.DL4J,
    source="deeplearning4j@844f9be6 (a fork):layers/normalization/BatchNormalization.java",
    checked=NUMBERS,
    updated_in="backward",
    notes=(
        "With useLogStd=false, as in models saved before it existed, the variance itself is stored, as var.",
        "With lockGammaBeta=true gamma and beta are no parameters.",
    ),
    doubts=("That beta4 was the first release of this form is taken from comments in the source.",),
)

_KERAS3 = Convention(
    name="keras3",
    framework="Keras 3 (tf.keras from TensorFlow 2.16)",
    layer="layers.BatchNormalization",
    averaging=Ema(0.99),
    argument="momentum=0.99, of the old",
    correction=biased,
    statistic=VARIANCE,
    epsilon=1e-3,
    layout=layouts.KERAS,
    source="keras@3422977a:keras/src/layers/normalization/batch_normalization.py",
    checked="live: keras 3.15.1",
    notes=(
        "Its mask divides by the number of rows plus 1e-7; jaxbn's by the number of rows.",
        "On the torch and NumPy backends the variance is E[x^2] - E[x]^2, which rounding can make negative.",
    ),
)

_MXNET = Convention(
    name="mxnet",
    framework="MXNet 1.x, Symbol and operator",
    layer="BatchNorm",
    averaging=Ema(0.9),
    argument="momentum=0.9, of the old",
    correction=biased,
    statistic=VARIANCE,
    epsilon=1e-3,
    layout=layouts.MXNET,
    source="mxnet@b84609d3:src/operator/nn/batch_norm-inl.h",
    checked="live: mxnet 1.9.1 on a CPU",
    gamma="1",
    updated_in="backward",
    notes=("fix_gamma=True holds gamma at 1.", "cuDNN averages the unbiased variance, in the forward pass."),
)

_EQUINOX = Convention(
    name="equinox",
    framework="Equinox 0.13",
    layer='nn.BatchNorm(mode="ema"), the default',
    averaging=FirstReplaces(0.99),
    argument="momentum=0.99, of the old",
    correction=biased,
    statistic=VARIANCE,
    epsilon=1e-5,
    layout=layouts.EQUINOX,
    source="equinox@9336d82:equinox/nn/_batch_norm.py",
    checked="live: equinox 0.13.8",
    initial_statistic=0.0,
    trains_with="running",
    notes=("Before the first mini-batch the variance is 0, and inference divides by sqrt(eps).",),
)

_TORCH = Convention(
    name="torch",
    framework="PyTorch",
    layer="nn.BatchNorm1d",
    averaging=Ema(0.9),
    argument="momentum=0.1, of the new",
    correction=unbiased,
    statistic=VARIANCE,
    epsilon=1e-5,
    layout=layouts.TORCH,
    source="pytorch@5c6695ee:torch/nn/modules/batchnorm.py, aten/src/ATen/native/Normalization.cpp",
    checked="live: torch 2.13.0",
    batch_of_one="error",
    notes=("Through version 1.1 gamma began as uniform numbers in [0, 1).",),
    doubts=("The version in which gamma began to start at 1 is from memory.",),
)

_ROWS = (
    Convention(
        name="caffe",
        framework="Caffe",
        layer="BatchNorm and Scale",
        averaging=SumAndScale(0.999),
        argument="moving_average_fraction=0.999, of the old",
        correction=unbiased,
        statistic=VARIANCE,
        epsilon=1e-5,
        layout=layouts.CAFFE,
        source="caffe@9b8915401:src/caffe/layers/batch_norm_layer.cpp",
        checked=NUMBERS,
        initial_statistic=0.0,
        notes=(
            "Before training the variance is 0, and inference divides by sqrt(eps).",
            "gamma and beta are those of a Scale layer with bias_term: true, which is not its default.",
            "NVIDIA's and Intel's forks keep them in the layer itself.",
        ),
    ),
    _CAFFE2,
    dataclasses.replace(
        _CAFFE2,
        name="caffe2_raw",
        layer="SpatialBN (CPU), its blobs empty at first",
        initial_statistic=0.0,
    ),
    Convention(
        name="cntk",
        framework="CNTK 2",
        layer="layers.BatchNormalization",
        averaging=TimeConstant(5000),
        argument="normalization_time_constant=5000 rows",
        correction=unbiased,
        statistic=VARIANCE,
        epsilon=1e-5,
        layout=layouts.CNTK,
        source="CNTK@bc88c7e3:Source/Math/CPUMatrixImpl.h, @85929655:bindings/python/cntk/layers/layers.py",
        checked=NUMBERS,
        initial_statistic=0.0,
        notes=(
            "It cannot train on a CPU. Inference before training is an error.",
            "blend_time_constant, which mixes running statistics into training, is 0: not modelled.",
            "BrainScript's default time constant is 0: the last mini-batch replaces all others.",
            "The cuDNN engine raises epsilon to 1e-5.",
        ),
    ),
    _DL4J,
    dataclasses.replace(
        _DL4J,
        name="dl4j_legacy",
        framework="DL4J through 1.0.0-beta3",
        statistic=VARIANCE_PLUS_EPSILON,
        layout=layouts.DL4J_LEGACY,
        source="deeplearning4j@dcc82694:layers/normalization/BatchNormalization.java",
        updated_in="forward",
        notes=(
            "The stored variance holds epsilon, and inference adds none.",
            "With isMinibatch=false each batch replaces the statistics.",
        ),
        doubts=("That beta3 was the last release of this form is taken from comments in the source.",),
    ),
    Convention(
        name="keras2",
        framework="Keras 2.3 standalone (2.1.4 to 2.3.1)",
        layer="layers.BatchNormalization",
        averaging=Ema(0.99),
        argument="momentum=0.99, of the old",
        correction=unbiased_less_epsilon,
        statistic=VARIANCE,
        epsilon=1e-3,
        layout=layouts.KERAS,
        source="keras@2.3.1:keras/layers/normalization.py",
        checked=NUMBERS,
        notes=(
            "The sample variance divides by B - (1 + epsilon), by mistake.",
            "From 2.1.3 to 2.2.5 the TensorFlow backend divided the averages by their weight as well: not modelled.",
            "The CNTK backend averages the biased variance.",
        ),
        doubts=("Images on TensorFlow 1 may have been corrected twice, by the fused kernel and by Keras.",),
    ),
    _KERAS3,
    dataclasses.replace(
        _KERAS3,
        name="tf_fused",
        checked="live: tf_keras 2.21.0 on a CPU",
        framework="tf_keras, tf.keras through 2.15",
        layer="layers.BatchNormalization of 4 or 5 axes, fused",
        correction=unbiased,
        epsilon_floor=1.001e-5,
        source="tf-keras@dd0a7237b:tf_keras/layers/normalization/batch_normalization.py, fused_batch_norm_op.cc",
        notes=(
            "A dense layer gets two axes of length 1.",
            "A mini-batch of one value makes the running variance NaN under cuDNN.",
            "A mask is ignored, with a warning.",
        ),
        doubts=("XLA's kernel averaged the biased variance in older releases.",),
    ),
    dataclasses.replace(
        _KERAS3,
        name="tf_keras",
        checked="live: tf_keras 2.21.0",
        framework="tf_keras, tf.keras through 2.15",
        layer="layers.BatchNormalization of 2 or 3 axes",
        source="tf-keras@dd0a7237b:tf_keras/layers/normalization/batch_normalization.py",
        notes=(),
    ),
    Convention(
        name="lasagne",
        framework="Lasagne 0.2.dev1",
        layer="BatchNormLayer",
        averaging=Ema(0.9),
        argument="alpha=0.1, of the new",
        correction=biased,
        statistic=INVERSE_STD,
        epsilon=1e-4,
        layout=layouts.LASAGNE,
        source="Lasagne@5d3c63c:lasagne/layers/normalization.py",
        checked=NUMBERS,
        notes=("An average of inverse deviations is not the inverse of an averaged deviation.",),
    ),
    _MXNET,
    dataclasses.replace(
        _MXNET,
        name="gluon",
        framework="MXNet 1.x, Gluon",
        layer="gluon.nn.BatchNorm",
        epsilon=1e-5,
        layout=layouts.GLUON,
        source="mxnet@b84609d3:python/mxnet/gluon/nn/basic_layers.py",
        gamma="learned",
        notes=("cuDNN averages the unbiased variance, in the forward pass.",),
    ),
    Convention(
        name="paddlepaddle",
        framework="PaddlePaddle 2 and 3",
        layer="nn.BatchNorm1D (CPU)",
        averaging=Ema(0.9),
        argument="momentum=0.9, of the old",
        correction=biased,
        statistic=VARIANCE,
        epsilon=1e-5,
        layout=layouts.PADDLE,
        source="Paddle@26a39f9f:paddle/phi/kernels/cpu/batch_norm_kernel.cc",
        checked="live: paddlepaddle 3.3.1 on a CPU",
        batch_of_one="unchanged",
        notes=("A single row passes as it is, without gamma and beta.", "On a GPU epsilon is raised to 1e-5."),
        doubts=("Where the GPU kernel calls cuDNN the variance may be unbiased.",),
    ),
    Convention(
        name="theano",
        framework="Theano 1",
        layer="nnet.bn.batch_normalization_train",
        averaging=Ema(0.9),
        argument="running_average_factor=0.1, of the new",
        correction=unbiased,
        statistic=VARIANCE,
        epsilon=1e-4,
        layout=layouts.THEANO,
        source="Theano@7505f23ed:theano/tensor/nnet/bn.py",
        checked=NUMBERS,
        epsilon_floor=1e-5,
        below_floor="error",
        batch_of_one="error",
        notes=("It has no layer: names, order and initial values (0, 1) are the caller's.",),
        doubts=("A compiled graph may make the running variance of a single row NaN where this is an error.",),
    ),
    _TORCH,
    dataclasses.replace(
        _TORCH,
        name="torch_cumulative",
        checked="live: torch 2.13.0",
        layer="nn.BatchNorm1d(momentum=None)",
        averaging=Cumulative(),
        argument="momentum=None",
        notes=(),
        doubts=(),
    ),
    Convention(
        name="flax",
        framework="Flax",
        layer="linen.BatchNorm, nnx.BatchNorm",
        averaging=Ema(0.99),
        argument="momentum=0.99, of the old",
        correction=biased,
        statistic=VARIANCE,
        epsilon=1e-5,
        layout=layouts.FLAX,
        source="flax@18f8f311:flax/linen/normalization.py",
        checked="live: flax 0.12.12, linen and nnx",
        notes=("use_fast_variance=True takes E[x^2] - E[x]^2, which far from zero has no correct digit left.",),
    ),
    Convention(
        name="haiku",
        framework="Haiku",
        layer="BatchNorm",
        averaging=Debiased(0.9),
        argument="decay_rate, of the old; required, here 0.9",
        correction=biased,
        statistic=VARIANCE,
        epsilon=1e-5,
        layout=layouts.HAIKU,
        source="dm-haiku@f4d858a:haiku/_src/batch_norm.py, moving_averages.py",
        checked="live: dm-haiku 0.0.17",
        initial_statistic=0.0,
        notes=(
            "After init, average holds the statistics of the batch that init saw, and counter is 0.",
            "The variance is E[x^2] - E[x]^2, which rounding can make negative.",
        ),
    ),
    _EQUINOX,
    dataclasses.replace(
        _EQUINOX,
        name="equinox_batch",
        checked="live: equinox 0.13.8",
        layer='nn.BatchNorm(mode="batch")',
        averaging=Debiased(0.99),
        layout=layouts.EQUINOX_BATCH,
        initial_statistic=1.0,
        trains_with="batch",
        notes=(
            "The running variance starts at 1 and is divided by 1 - 0.99^n all the same: inference sees a variance "
            "too large by 0.99^n / (1 - 0.99^n), which is 99 after one mini-batch and 0.58 after a hundred.",
        ),
    ),
)

CONVENTIONS: dict[str, Convention] = {row.name: row for row in _ROWS}


def lookup(convention: str | Convention) -> Convention:
    """A row of the table by its name; a record is taken as it is.

    Raises:
        UserError: there is no row of that name.

    Example:
        >>> lookup("torch").epsilon
        1e-05
    """
    if isinstance(convention, Convention):
        return convention
    if convention not in CONVENTIONS:
        raise unknown("convention", convention, CONVENTIONS)
    return CONVENTIONS[convention]
