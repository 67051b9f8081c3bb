"""The networks, layer by layer."""

from __future__ import annotations

from . import console as info
from .facts import Facts
from .markup import Child, table, tag

_LAYERED = 30_000_000
"""Networks of more parameters are not built to list their layers, only counted."""


def section(facts: Facts) -> Child:
    """How large each network is, and what it is made of."""
    if facts.recipe is None:
        return tag("p", "Not known without the recipe.")
    total = sum(net.parameters for net in facts.networks.values())
    rows = [
        [role, net.kind, f"{net.parameters:,}", "draws the samples" if net.serves else "for training only"]
        for role, net in facts.networks.items()
    ]
    rows.append([f"{len(rows)} networks", "", f"{total:,}", ""])
    parts: list[Child] = [table(["network", "type", "parameters", "role"], rows, numeric=(2,))]
    if total > _LAYERED:
        return parts
    nets = info.built(facts.recipe, facts.spec)
    for role, layers in info.layers(facts.recipe, nets, facts.spec).items():
        listed = table(
            ["layer", "type", "output", "parameters"],
            [[x.name, x.kind, x.shape, f"{x.parameters:,}" if x.parameters else ""] for x in layers],
            numeric=(3,),
        )
        parts.append(tag("details", tag("summary", f"{role}, layer by layer"), listed))
    return parts
