"""How a set's answers are judged: by what its source says, else by its prompt template."""

from __future__ import annotations

from collections.abc import Sequence

from engine.dataset import Sample
from engine.errors import UserError
from engine.schema import Metric

MOST_CHOICES = 50


def judgement(samples: Sequence[Sample]) -> tuple[Metric, tuple[str, ...]]:
    """The metric of a set, of which these are samples, and its choices where the metric is choice.

    Choices that nobody named are the answers that stand in the samples. Raises UserError.
    """
    source, shape = samples[0].source, samples[0].one.shape
    metric, choices = source.metric, source.choices
    if shape and shape.templates and metric == "exact":
        template = shape.templates[0]
        metric = "choice" if template.choices else template.metric
        choices = choices or template.choices
    if metric != "choice":
        return metric, ()
    found = choices or tuple(sorted({sample.reference.strip() for sample in samples if sample.messages}))
    if len(found) > MOST_CHOICES:
        raise UserError(
            f"{source.path}: {len(found)} different answers are no choice; name data.sources.choices, or take"
            " another metric"
        )
    return metric, found
