"""A space as a table to be read."""

from typing import TYPE_CHECKING

from jaxbn.search.domains import Choice, Domain, Float

if TYPE_CHECKING:
    from jaxbn.search.space import Space


def described(space: "Space") -> list[tuple[str, ...]]:
    """A header, and a line for each hyperparameter that the space names.

    Example:
        >>> from jaxbn.search import Space
        >>> described(Space(b1=Float(0.8, 0.9, when={"optimizer": "adam"}), batch_size=32))[1:]  # doctest: +ELLIPSIS
        [('b1', '0.8 to 0.9', 'linear', 'optimizer is adam', 'weight ...'), ('batch_size', '32', 'fixed', '', ...)]
    """
    lines = [("hyperparameter", "values", "scale", "when", "what it is")]
    for name in space:
        domain, what = space.domains.get(name), space.table[name].doc
        if domain is None:
            lines.append((name, str(space.fixed[name]), "fixed", "", what))
        else:
            lines.append((name, _values(domain), getattr(domain, "scale", "choice"), _condition(domain), what))
    return lines


def _values(domain: Domain) -> str:
    if isinstance(domain, Choice):
        return ", ".join(map(str, domain.options))
    if isinstance(domain, Float):
        return f"{domain.low:g} to {domain.high:g}"
    return f"{domain.low} to {domain.high}"


def _condition(domain: Domain) -> str:
    conditions = (f"{name} is {' or '.join(map(str, allowed))}" for name, allowed in domain.when or ())
    return " and ".join(conditions)
