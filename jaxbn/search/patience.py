"""Patience: a configuration that gets no better has trained to its end."""

import dataclasses

from jaxbn.search.history import History
from jaxbn.search.pbt import pbt_rungs
from jaxbn.search.schedule import Cohort, Edit, Rung, Scheduler


def with_patience(scheduler: Scheduler, patience: int) -> Scheduler:
    """A scheduler that also lets configurations end whose score has not risen for so many epochs.

    It asks at the rungs, and where there is only one, every `patience` epochs, so that a configuration trains on until
    the next of these without getting better. What the scheduler itself stops counts as stopped.

    Args:
        scheduler: any.
        patience: epochs, at least 1.
    """

    def rungs(num_configs: int, num_epochs: int) -> tuple[Rung, ...]:
        table = scheduler.rungs(num_configs, num_epochs)
        return table if len(table) > 1 else pbt_rungs(num_configs, num_epochs, interval=patience)

    def decide(seed: int, cohort: Cohort, history: History, rung: Rung) -> Edit:
        edit = scheduler.decide(seed, cohort, history, rung)
        numbers = cohort.numbers[edit.keep]
        # Who goes on from another's state has only begun.
        own = edit.source == edit.keep
        tired = own & (history.epochs[numbers] - history.best_epochs[numbers] >= patience)
        configs = tuple(config for config, ends in zip(edit.configs, tired, strict=True) if not ends)
        return Edit(edit.keep[~tired], edit.source[~tired], configs, edit.keep[tired])

    return dataclasses.replace(scheduler, rungs=rungs, decide=decide)
