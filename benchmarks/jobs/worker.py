"""A process that runs the job of one framework when it is told to.

    python -m benchmarks.jobs.worker MODULE PACKAGE DATA.npz

A line of JSON on the standard input is a request, a line on what was the standard output its answer. Nothing but
NumPy is imported beside the job: this runs under the Python of each framework's environment.
"""

import importlib
import importlib.metadata
import json
import os
import sys
import time
import warnings

import numpy as np


def licence(package: str) -> str:
    """What the installed package says of itself: an SPDX expression, or else a classifier, or else free text."""
    said = importlib.metadata.metadata(package)
    expression, free = ((said.get_all(name) or [""])[0].strip() for name in ("License-Expression", "License"))
    if expression or (free and "\n" not in free):
        return expression or free
    classifiers = [c for c in said.get_all("Classifier") or () if c.startswith("License ::")]
    return classifiers[0].split(" :: ")[-1] if classifiers else "not said"


def there(dotted: str) -> bool:
    """Whether the installed version has something of that name."""
    parts = dotted.split(".")
    for cut in range(len(parts), 0, -1):
        try:
            found = importlib.import_module(".".join(parts[:cut]))
            for part in parts[cut:]:
                found = getattr(found, part)
        except (ImportError, AttributeError):
            continue
        return True
    return False


def main(module: str, package: str, data: str) -> None:
    """Answer requests until the input ends: `{"train": epochs, "seed": seed}` or `{"there": [names]}`."""
    # Frameworks write to the standard output as they please.
    answers = os.fdopen(os.dup(1), "w", buffering=1)
    os.dup2(2, 1)
    warnings.simplefilter("ignore")

    def answer(**fields: object) -> None:
        answers.write(json.dumps(fields) + "\n")

    arrays = np.load(data)
    x, y, x_valid, y_valid = (arrays[name] for name in ("x", "y", "x_valid", "y_valid"))
    begun = time.perf_counter()
    try:
        train = importlib.import_module(f"benchmarks.jobs.{module}").train
    except ModuleNotFoundError as error:
        answer(missing=error.name)
        return
    version = importlib.metadata.version(package)
    answer(seconds=time.perf_counter() - begun, version=version, licence=licence(package))
    for line in sys.stdin:
        request = json.loads(line)
        if "there" in request:
            answer(there=[there(name) for name in request["there"]])
            continue
        begun = time.perf_counter()
        predicted = np.asarray(train(x, y, request["train"], request["seed"])(x_valid))
        # Predictions are in the time, because some frameworks come back before they have trained.
        answer(seconds=time.perf_counter() - begun, accuracy=float((predicted == y_valid).mean()))


if __name__ == "__main__":
    main(*sys.argv[1:])
