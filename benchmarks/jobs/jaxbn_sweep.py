"""jaxbn, a sweep of one network. It keeps ten rows of each kind for validation and the test."""

from jaxbn import Space, sweep


def train(x, y, num_epochs, seed):
    space = Space(learning_rate=0.01, hidden_units=64, num_layers=2, batch_size=64)
    held = 10 / len(x)
    results = sweep(
        space,
        (x, y),
        num_configs=1,
        num_epochs=num_epochs,
        seed=seed,
        valid_fraction=held,
        test_fraction=held,
    )
    return results.best_model.predict
