"""The rivals of `benchmarks.throughput` in PyTorch. Nothing here imports jaxbn."""

import math
import multiprocessing
import time
from dataclasses import replace
from itertools import pairwise
from typing import Any

import jax
import numpy as np

from benchmarks.about import cores
from benchmarks.rival import BN_DECAY, BN_EPSILON, HIDDEN, NUM_CLASSES, NUM_INPUTS, Timing, epoch_orders, timing


def torch_eager_loop(x, y, learning_rates, num_epochs, batch_size, seed, *, fused=False) -> Timing:
    """PyTorch in eager mode, one config after the other."""
    import torch  # pyright: ignore[reportMissingImports]

    data = _torch_data(_torch_device(), x, y, num_epochs, seed)
    threads = torch.get_num_threads()
    torch.set_num_threads(1)  # tensors this small gain nothing from more, and on busy cores they wait
    start = time.perf_counter()
    members = _eager_members(learning_rates, data, batch_size, seed, fused=fused)
    ready = time.perf_counter()
    losses = [_eager_train(member, data, batch_size) for member in members]
    end = time.perf_counter()
    torch.set_num_threads(threads)
    return timing("torch_eager_loop", losses, ready - start, end - ready)


def torch_eager_fused(x, y, learning_rates, num_epochs, batch_size, seed) -> Timing:
    """`torch_eager_loop` with Adam's fused kernel, which is not the default on a CPU."""
    timing = torch_eager_loop(x, y, learning_rates, num_epochs, batch_size, seed, fused=True)
    return replace(timing, name="torch_eager_fused")


def torch_eager_processes(x, y, learning_rates, num_epochs, batch_size, seed) -> Timing:
    """`torch_eager_loop` in as many processes as cores, the configs divided evenly among them.

    Starting the processes counts as warming up; sending the learning rates out and the losses back is in the time.
    """
    context = multiprocessing.get_context("spawn")
    device = _torch_device()
    num_processes = min(cores(), len(learning_rates))
    start = time.perf_counter()
    processes, pipes = [], []
    for i in range(num_processes):
        ours, theirs = context.Pipe()
        shared = (x, y, learning_rates[i::num_processes], num_epochs, batch_size, seed)
        processes.append(context.Process(target=_eager_process, args=(theirs, device, *shared), daemon=True))
        processes[-1].start()
        theirs.close()
        pipes.append(ours)
    for pipe in pipes:
        pipe.recv()  # warmed up
    ready = time.perf_counter()
    for pipe in pipes:
        pipe.send(None)  # go
    losses = [loss for pipe in pipes for loss in pipe.recv()]
    end = time.perf_counter()
    for process in processes:
        process.join()
    return timing("torch_eager_processes", losses, ready - start, end - ready)


def torch_stacked_bmm(x, y, learning_rates, num_epochs, batch_size, seed, *, group=32) -> Timing:
    """PyTorch with all members' weights stacked [members, in, out], batched products, Adam on the stacks.

    On a CPU `group` members at a time on all cores, an accelerator gets them all at once. Of 16, 32, 64 and 256,
    groups of 32 were quickest on 2 cores: they stay in the cache, and their tensors are still worth the threads.
    """
    import torch  # pyright: ignore[reportMissingImports]

    device = _torch_device()
    features, labels, orders = _torch_data(device, x, y, num_epochs, seed)
    rates = torch.tensor(np.asarray(learning_rates), dtype=torch.float32, device=device).view(-1, 1, 1)
    groups = rates.split(group if device == "cpu" else len(rates))

    def train(net, orders):
        mean = torch.zeros(())
        for order in orders:
            mean = torch.zeros(len(net.rates), device=device)
            for rows in order.split(batch_size):
                mean += net.step(features[rows], labels[rows]) * (len(rows) / len(x))
        return mean

    start = time.perf_counter()
    train(_StackedNet(groups[0], seed), orders[:1])
    _torch_wait(device)
    warm = time.perf_counter()
    nets = [_StackedNet(rates, seed) for rates in groups]
    _torch_wait(device)
    ready = time.perf_counter()
    losses = torch.cat([train(net, orders) for net in nets]).tolist()
    end = time.perf_counter()
    return timing("torch_stacked_bmm", losses, warm - start, end - ready)


def torch_stacked_graph(x, y, learning_rates, num_epochs, batch_size, seed, *, compiled=False) -> Timing:
    """`torch_stacked_bmm` with a step as a CUDA graph: no kernel waits for Python. All members at once; needs CUDA."""
    import torch  # pyright: ignore[reportMissingImports]

    device = _torch_device()
    features, labels, orders = _torch_data(device, x, y, num_epochs, seed)
    rates = torch.tensor(np.asarray(learning_rates), dtype=torch.float32, device=device).view(-1, 1, 1)
    start = time.perf_counter()
    net = _StackedNet(rates, seed)
    net.num_steps = torch.zeros((), device=device)
    if compiled:
        net.forward, net.adam = torch.compile(net.forward), torch.compile(net.adam)
    first = [tensor.detach().clone() for tensor in net.tensors()]
    graphs = {
        size: _captured(net, features, labels, size) for size in {len(rows) for rows in orders[0].split(batch_size)}
    }
    with torch.no_grad():
        for tensor, value in zip(net.tensors(), first, strict=True):
            tensor.copy_(value)
    _torch_wait(device)
    ready = time.perf_counter()
    mean = torch.zeros(())
    for order in orders:
        mean = torch.zeros(len(rates), device=device)
        for rows in order.split(batch_size):
            graph, place, losses = graphs[len(rows)]
            place.copy_(rows)
            graph.replay()
            mean += losses * (len(rows) / len(x))
    mean = mean.tolist()
    end = time.perf_counter()
    return timing("torch_stacked_graph", mean, ready - start, end - ready)


def torch_stacked_compiled(x, y, learning_rates, num_epochs, batch_size, seed) -> Timing:
    """`torch_stacked_graph` with a step that torch.compile has fused."""
    timing = torch_stacked_graph(x, y, learning_rates, num_epochs, batch_size, seed, compiled=True)
    return replace(timing, name="torch_stacked_compiled")


def _captured(net, features, labels, size: int):
    """A graph of a step on so many rows, where their numbers are to be put, and where its losses appear."""
    import torch  # pyright: ignore[reportMissingImports]

    place = torch.arange(size, device=features.device)
    side = torch.cuda.Stream()
    side.wait_stream(torch.cuda.current_stream())
    with torch.cuda.stream(side):
        for _ in range(3):  # what is allocated or compiled once must not be in the graph
            net.step(features[place], labels[place])
    torch.cuda.current_stream().wait_stream(side)
    graph = torch.cuda.CUDAGraph()
    with torch.cuda.graph(graph, capture_error_mode="thread_local"):  # JAX has threads of its own here
        losses = net.step(features[place], labels[place])
    return graph, place, losses


def _torch_device() -> str:
    import torch  # pyright: ignore[reportMissingImports]

    return "cuda" if jax.default_backend() == "gpu" and torch.cuda.is_available() else "cpu"


def _torch_wait(device: str) -> None:
    import torch  # pyright: ignore[reportMissingImports]

    if device == "cuda":
        torch.cuda.synchronize()


def _torch_data(device: str, x, y, num_epochs: int, seed: int):
    """Features, labels, and each epoch's order of rows."""
    import torch  # pyright: ignore[reportMissingImports]

    orders = [torch.tensor(order, device=device) for order in epoch_orders(len(x), num_epochs, seed)]
    return torch.tensor(x, device=device), torch.tensor(y, device=device).long(), orders


def _eager_members(learning_rates, data, batch_size: int, seed: int, *, fused: bool = False) -> list:
    """A model and an optimizer for each learning rate, after one epoch of another to warm up."""
    features, labels, orders = data
    _eager_train(_eager_build(1e-3, features.device, seed, fused), (features, labels, orders[:1]), batch_size)
    return [_eager_build(rate, features.device, seed, fused) for rate in learning_rates]


def _eager_build(learning_rate, device, seed: int, fused: bool):
    import torch  # pyright: ignore[reportMissingImports]

    torch.manual_seed(seed)
    layers, width = [], NUM_INPUTS
    for h in HIDDEN:
        layers += [
            torch.nn.Linear(width, h, bias=False),
            torch.nn.BatchNorm1d(h, eps=BN_EPSILON),
            torch.nn.ReLU(),
        ]
        width = h
    model = torch.nn.Sequential(*layers, torch.nn.Linear(width, NUM_CLASSES)).to(device)
    return model, torch.optim.Adam(model.parameters(), lr=float(learning_rate), fused=fused)


def _eager_train(member, data, batch_size: int) -> float:
    import torch  # pyright: ignore[reportMissingImports]

    (model, optimizer), (features, labels, orders) = member, data
    loss_fn = torch.nn.CrossEntropyLoss()
    model.train()
    mean = torch.zeros((), device=features.device)
    for order in orders:
        mean = torch.zeros((), device=features.device)
        for rows in order.split(batch_size):
            optimizer.zero_grad()
            loss = loss_fn(model(features[rows]), labels[rows])
            loss.backward()
            optimizer.step()
            mean += loss.detach() * (len(rows) / len(features))
    return mean.item()


def _eager_process(pipe, device: str, x, y, learning_rates, num_epochs: int, batch_size: int, seed: int) -> None:
    """A process of `torch_eager_processes`: warms up, says so, waits for the start, trains its members."""
    import torch  # pyright: ignore[reportMissingImports]

    torch.set_num_threads(1)
    data = _torch_data(device, x, y, num_epochs, seed)
    members = _eager_members(learning_rates, data, batch_size, seed)
    pipe.send(None)
    pipe.recv()
    pipe.send([_eager_train(member, data, batch_size) for member in members])


class _StackedNet:
    """Members in training together: every tensor has them on its first axis, rates are [members, 1, 1]."""

    def __init__(self, rates, seed: int):
        import torch  # pyright: ignore[reportMissingImports]

        self.rates = rates
        generator = torch.Generator().manual_seed(seed)

        def stack(tensor):
            return tensor.to(rates.device).repeat(len(rates), 1, 1).requires_grad_()

        def he(inputs, outputs):
            return stack(torch.randn(inputs, outputs, generator=generator) * math.sqrt(2 / inputs))

        self.layers, self.stats = [], []
        for shape in pairwise((NUM_INPUTS, *HIDDEN)):
            self.layers.append((he(*shape), stack(torch.ones(1, shape[1])), stack(torch.zeros(1, shape[1]))))
            running = torch.zeros(1, shape[1]), torch.ones(1, shape[1])
            self.stats.append([stack(tensor).detach() for tensor in running])
        self.last = he(HIDDEN[-1], NUM_CLASSES), stack(torch.zeros(1, NUM_CLASSES))
        self.params = [tensor for layer in (*self.layers, self.last) for tensor in layer]
        self.first_moments = [torch.zeros_like(tensor) for tensor in self.params]
        self.second_moments = [torch.zeros_like(tensor) for tensor in self.params]
        self.num_steps: Any = 0

    def step(self, x, y):
        """One step on a mini-batch that all share; returns each member's loss."""
        import torch  # pyright: ignore[reportMissingImports]

        losses = self.forward(x, y)
        self.adam(torch.autograd.grad(losses.sum(), self.params))
        return losses.detach()

    def forward(self, x, y):
        """Each member's loss; the running statistics move."""
        import torch  # pyright: ignore[reportMissingImports]

        num_members = len(self.rates)
        a = x.expand(num_members, *x.shape)
        for (kernel, gamma, beta), (running_mean, running_var) in zip(self.layers, self.stats, strict=True):
            z = torch.bmm(a, kernel)
            mean = z.mean(dim=1, keepdim=True)
            z = z - mean
            var = z.square().mean(dim=1, keepdim=True)  # torch.var_mean is slower: the whole takes half as long again
            running_mean.lerp_(mean.detach(), 1 - BN_DECAY)
            running_var.lerp_(var.detach(), 1 - BN_DECAY)
            a = torch.addcmul(beta, z, gamma * torch.rsqrt(var + BN_EPSILON)).relu()
        kernel, bias = self.last
        logits = torch.baddbmm(bias, a, kernel)
        losses = torch.nn.functional.cross_entropy(
            logits.view(-1, NUM_CLASSES), y.repeat(num_members), reduction="none"
        )
        return losses.view(num_members, -1).mean(dim=1)

    def tensors(self) -> list:
        """All that a step changes."""
        stats = [tensor for pair in self.stats for tensor in pair]
        return [*self.params, *stats, *self.first_moments, *self.second_moments, self.num_steps]

    def adam(self, gradients, beta1: float = 0.9, beta2: float = 0.999, epsilon: float = 1e-8) -> None:
        """In place. The second moment's correction goes to the rate and to epsilon, which spares a pass."""
        import torch  # pyright: ignore[reportMissingImports]

        ops: Any = torch  # these are there for optimizers, but not exported
        self.num_steps += 1
        root = (1 - beta2**self.num_steps) ** 0.5
        with torch.no_grad():
            ops._foreach_lerp_(self.first_moments, gradients, 1 - beta1)
            ops._foreach_mul_(self.second_moments, beta2)
            ops._foreach_addcmul_(self.second_moments, gradients, gradients, 1 - beta2)
            divisors = ops._foreach_sqrt(self.second_moments)
            # A list: a tensor of one number would be taken for a number, and the host would wait for it.
            ops._foreach_add_(divisors, [epsilon * root] * len(divisors))
            updates = ops._foreach_div(self.first_moments, divisors)
            rates = self.rates * (-root / (1 - beta1**self.num_steps))
            ops._foreach_addcmul_(self.params, updates, [rates] * len(updates))
