"""The fleet's budget of the file: what it comes to, what is wrong with it, and how it is said.

Guarantees: a key that would have no effect is a fault with its mend. Must never: know lines.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from monitor.core.judging.budget import Budget, thresholds
from monitor.core.judging.fleet import RESERVE, Fleet, FleetRule
from monitor.core.policies import DetectorName, Policy
from monitor.core.wording import amount

if TYPE_CHECKING:
    from monitor.config.keys import FileKeys
    from monitor.config.problems import KeyPath

_SIZES = (10, 100, 500)
_LABELS = 10_000


def fleet_of(keys: FileKeys) -> Fleet | None:
    """The fleet; None without a budget.

    Models that write an `alarm_at`, or leave out the e-process, take no part.
    """
    written = keys.fleet
    if written.false_alarms is None:
        return None
    defaults = keys.defaults.over(Policy())
    apart = {
        name
        for name, own in keys.models.items()
        if "alarm_at" in own.model_fields_set
        or DetectorName.E_PROCESS not in own.over(defaults).detectors
    }
    budget = Budget.parse(written.false_alarms)
    return Fleet(budget, FleetRule(written.rule), dict(written.weights), frozenset(apart))


def fleet_faults(keys: FileKeys) -> dict[KeyPath, str]:
    """Keys that would have no effect, each with its mend."""
    if keys.fleet.false_alarms is None:
        return {
            ("fleet", key): "has no effect without false_alarms; add that, or remove this"
            for key in ("rule", "weights")
            if key in keys.fleet.model_fields_set
        }
    faults: dict[KeyPath, str] = {}
    if "alarm_at" in keys.defaults.model_fields_set:
        faults["defaults", "alarm_at"] = (
            "has no effect with fleet.false_alarms, from which thresholds follow; remove it, "
            "or write it under each model that is to keep its own"
        )
    if DetectorName.E_PROCESS not in keys.defaults.over(Policy()).detectors:
        faults["defaults", "detectors"] = (
            "leaves out e_process, and no other detector keeps to fleet.false_alarms; add it"
        )
    for name in keys.fleet.weights:
        own = keys.models.get(name)
        if own is not None and "alarm_at" in own.model_fields_set:
            faults["fleet", "weights", name] = (
                "the model has an alarm_at of its own and takes no part; remove one of them"
            )
        if own is None and not keys.auto_register:
            faults["fleet", "weights", name] = "is not declared under models; declare or remove it"
    return faults


def fleet_json(fleet: Fleet | None) -> dict[str, object] | None:
    """Plain JSON values."""
    if fleet is None:
        return None
    return {
        "false_alarms": fleet.budget.words,
        "false_alarms_per_month": fleet.budget.per_month,
        "rule": str(fleet.rule),
        "weights": dict(fleet.weights),
        "apart": sorted(fleet.apart),
    }


def fleet_lines(fleet: Fleet | None) -> list[str]:
    """What the budget means, and the thresholds that follow from it."""
    if fleet is None:
        return ["  false alarms: no budget, each model has its alarm_at"]
    kept = Budget(fleet.budget.per_month * (1 - RESERVE))
    alike = [dict.fromkeys(map(str, range(n)), float(_LABELS)) for n in _SIZES]
    examples = [f"{amount(thresholds(kept, s).alarm_at['0'])} for {len(s)}" for s in alike]
    lines = [
        f"  false alarms: {fleet.budget.words}",
        "    a series' threshold is its labels a month over its part of the budget;",
        f"    where each sends {_LABELS:,} labels a month it is {', '.join(examples)} series",
    ]
    if fleet.weights:
        parts = [f"{name} {weight:g}" for name, weight in sorted(fleet.weights.items())]
        lines.append(f"    parts against 1 for the others: {', '.join(parts)}")
    if fleet.rule is FleetRule.E_D_BH:
        lines.append("    series that move together are named earlier, by e-d-BH at midnight")
    if fleet.apart:
        names = ", ".join(sorted(fleet.apart))
        lines.append(f"    on top of it: {names}, by an alarm_at or detectors of their own")
    return lines
