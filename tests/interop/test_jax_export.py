"""A network of jaxbn goes out as StableHLO through JAX's own exporter, because prediction is a pure function."""

import functools

import jax
import numpy as np

from jaxbn import Hyperparams, Spec, mlp


def test_what_is_exported_predicts_the_same():
    model = mlp(Spec(widths=(8, 8)), num_inputs=4, num_outputs=3)
    variables = model.init(jax.random.key(0), Hyperparams())
    predict = jax.jit(functools.partial(model.apply, hyperparams=Hyperparams(), training=False))

    def outputs(x):
        return predict(variables, x)[0]

    (rows,) = jax.export.symbolic_shape("rows,")
    written = jax.export.export(jax.jit(outputs))(jax.ShapeDtypeStruct((rows, 4), "float32")).serialize()
    read = jax.export.deserialize(written)
    for num_rows in (1, 5):
        x = np.random.default_rng(0).normal(size=(num_rows, 4)).astype("f")
        np.testing.assert_allclose(read.call(x), outputs(x), rtol=1e-6, atol=1e-6)
