"""jaxbn, a sweep of 256 networks with learning rates of their own; `predict` is the winner's."""

from jaxbn import Float, Space, sweep


def train(x, y, num_epochs, seed):
    space = Space(learning_rate=Float(0.005, 0.02, scale="log"), hidden_units=64, num_layers=2, batch_size=64)
    held = 10 / len(x)
    results = sweep(
        space,
        (x, y),
        num_configs=256,
        num_epochs=num_epochs,
        seed=seed,
        valid_fraction=held,
        test_fraction=held,
    )
    return results.best_model.predict
