"""PaddlePaddle, eager."""

import paddle  # pyright: ignore[reportMissingImports]
from paddle import nn  # pyright: ignore[reportMissingImports]


def train(x, y, num_epochs, seed):
    paddle.seed(seed)
    x, y = paddle.to_tensor(x), paddle.to_tensor(y)
    net = nn.Sequential(
        nn.Linear(64, 64, bias_attr=False),
        nn.BatchNorm1D(64),
        nn.ReLU(),
        nn.Linear(64, 64, bias_attr=False),
        nn.BatchNorm1D(64),
        nn.ReLU(),
        nn.Linear(64, 10),
    )
    optimizer = paddle.optimizer.Adam(0.01, parameters=net.parameters())
    for _ in range(num_epochs):
        order = paddle.randperm(len(x))
        for i in range(0, len(x), 64):
            rows = order[i : i + 64]
            nn.functional.cross_entropy(net(x[rows]), y[rows]).backward()
            optimizer.step()
            optimizer.clear_grad()
    net.eval()
    return lambda x: net(paddle.to_tensor(x)).argmax(1).numpy()
