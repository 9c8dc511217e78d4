"""All gates by name, found in `gates/catalogue`. There is no other list of them."""

from collections.abc import Iterable, Iterator, Mapping
from importlib import import_module
from pkgutil import iter_modules

from foundry_tasks.gates import catalogue
from foundry_tasks.gates.definition import GateDefinition


def in_order(gates: Iterable[GateDefinition]) -> Mapping[str, GateDefinition]:
    """Name → gate, by ascending order. Raises ValueError if two gates have the same name or order."""
    ordered: dict[str, GateDefinition] = {}
    orders: dict[int, str] = {}
    for gate in sorted(gates, key=lambda gate: gate.order):
        if gate.name in ordered:
            raise ValueError(f"two gates are named {gate.name!r}. Rename one in foundry_tasks/gates/catalogue.")
        if gate.order in orders:
            raise ValueError(
                f"the gates {orders[gate.order]!r} and {gate.name!r} have order {gate.order}. Change one in "
                "foundry_tasks/gates/catalogue."
            )
        ordered[gate.name], orders[gate.order] = gate, gate.name
    return ordered


def _found() -> Iterator[GateDefinition]:
    for module in iter_modules(catalogue.__path__, f"{catalogue.__name__}."):
        gate: GateDefinition = import_module(module.name).GATE
        yield gate


GATES: Mapping[str, GateDefinition] = in_order(_found())
