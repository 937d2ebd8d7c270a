"""What LoRA is put on in a model of known shapes, and how many parameters that trains."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass

from engine.architectures import EXPERT_NAMES, FUSED
from engine.errors import UserError
from engine.schema import Recipe
from engine.shapes import Shapes, Weight


@dataclass(frozen=True)
class Adapted:
    """A weight with LoRA on it: `pairs` of A and B of the recipe's rank on each of its tensors."""

    weight: Weight
    pairs: int = 1

    def parameters(self, rank: int, dora: bool = False) -> int:
        """A of rank x in and B of out x rank for each pair (LoRA, arXiv 2106.09685); with DoRA a length for
        each of the outputs besides (arXiv 2402.09353)."""
        inputs, outputs = self.weight.features or (0, 0)
        return (rank * (inputs + outputs) + dora * outputs) * self.pairs * self.weight.count


def adapted(shapes: Shapes, names: Collection[str] = ()) -> list[Adapted]:
    """What LoRA is put on: all linear layers but the output head, or those of these names.

    A name is a layer's last part, or more of its path, as in PEFT. In a mixture PEFT takes the names of the
    layers that its experts once were for the parameters that they are now: one pair an expert, two where gate
    and way up are one parameter (peft/utils/transformers_weight_conversion.py).
    """
    old = EXPERT_NAMES.get(shapes.model_type, {})
    layers = {weight.name.removesuffix(".weight"): weight for weight in shapes.weights if weight.features}
    have = {path.rpartition(".")[2] for path in layers}
    linear = {path.rpartition(".")[2] for path, weight in layers.items() if weight.kind == "linear"}
    wanted = {FUSED[name] if name not in have and FUSED.get(name) in have else name for name in names}
    wanted = wanted or linear | set().union(*old.values())
    found = []
    for path, weight in layers.items():
        last = path.rpartition(".")[2]
        if weight.kind in ("expert", "router"):
            if last in old and wanted.issuperset(old[last]):
                experts = weight.shape[0] if weight.kind == "expert" else 1
                found.append(Adapted(weight, experts * len(old[last])))
        elif any(_is(path, name) for name in wanted.difference(*old.values())):
            found.append(Adapted(weight))
    return found


def check(plan: Recipe, shapes: Shapes) -> None:
    """Raise UserError where PEFT has no such LoRA on what is adapted: on experts neither dropout nor DoRA."""
    asked = {"lora.dropout": plan.lora.dropout, "lora.dora": plan.lora.dora}
    key = next((key for key, value in asked.items() if value), "")
    if not key or plan.train.method == "full":
        return
    if any(one.weight.kind in ("expert", "router") for one in adapted(shapes, plan.lora.target_modules)):
        raise UserError(
            f"{key}: the experts of {plan.model.id} are bare parameters, on which PEFT puts neither dropout "
            'nor DoRA; leave it out, or name layers without them: lora.target_modules = ["q_proj", "v_proj"]'
        )


def _is(path: str, name: str) -> bool:
    return path == name or path.endswith("." + name)


def trainable(shapes: Shapes, rank: int, names: Collection[str] = (), dora: bool = False) -> int:
    """Parameters of an adapter of this rank."""
    return sum(one.parameters(rank, dora) for one in adapted(shapes, names))
