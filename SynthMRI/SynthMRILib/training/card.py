"""The model card: what a person should know of a bundle before using it, filled from the run that made it."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from torch import nn

from .. import INTENDED_USE, __version__

if TYPE_CHECKING:
    from .export import BundleDescription

#: What gains are counted from; the input for tasks that are not named.
BASELINES = {"super-resolution": "cubic B-spline"}
INPUT = "the input"
UNSTATED = "- Not stated: ask whoever trained this network before you pass it on.\n"


def card(network: nn.Module, description: BundleDescription, sha256: str) -> str:
    """The model card, in Markdown."""
    parameters = sum(p.numel() for p in network.parameters())
    return f"""# {description.title}

{INTENDED_USE}

{description.description}

| | |
|---|---|
| task | {description.task} |
| network | {description.network_name}, {parameters:,} parameters |
| receptive field radius | {network.receptive_field_radius} input voxels |
| weights | float16 safetensors, SHA-256 `{sha256}` |
| made | {datetime.now(UTC):%Y-%m-%d}, SynthMRI {__version__} |
| experimental | {"yes" if description.experimental else "no"} |

## What it expects
{table(description.expects)}
## How it was trained
{table(without(description.training, "subjects", "simulation"))}
{subjects_part(description.training.get("subjects", {}))}{simulation_part(description.training.get("simulation", {}))}
## Validation (held-out subjects; gains in PSNR are over {BASELINES.get(description.task, INPUT)} unless stated)
{table(description.validation)}{intervals_part(description.intervals)}
## Limits
{lines(description.limits)}
## Data and licenses
{lines(description.data) or UNSTATED}"""


def subjects_part(subjects: dict[str, Sequence[str]]) -> str:
    """Who trained and who validated."""
    named = {"cache": "training", "validation_cache": "validation"}
    rows = {named.get(name, name): ", ".join(labels) for name, labels in subjects.items()}
    return f"### Subjects\n{table(rows)}" if rows else ""


def simulation_part(ranges: dict[str, Any]) -> str:
    """From which ranges samples were drawn."""
    return f"### Ranges of the simulation\n{table(ranges)}" if ranges else ""


def intervals_part(rows: Sequence[dict[str, Any]]) -> str:
    """Figures by contrast and subject with their intervals."""
    if not rows:
        return ""
    head = "| volumes | subject | gain [dB] | 95 % interval | blocks |\n|---|---|---|---|---|\n"
    body = "".join(
        f"| {row['source']} {row['contrast']} | {row['subject']} | {row['gain_db']:+.2f} | {interval(row)} "
        f"| {row['blocks']} |\n"
        for row in rows
    )
    note = (
        "\nIntervals come from resampling the blocks of a subject, or of all subjects where it says all: they tell how "
        "much the figure hangs on the places that were looked at, not how other patients would fare.\n"
    )
    return f"\n### By contrast and subject\n{head}{body}{note}"


def interval(row: dict[str, Any]) -> str:
    """Both limits, or a dash where there are too few blocks for any."""
    return "-" if row["low"] is None else f"{row['low']:+.2f} to {row['high']:+.2f}"


def table(values: dict[str, Any]) -> str:
    """A two-column Markdown table; what is nested gets a row for each innermost value."""
    rows = "".join(f"| {name} | {shown(value)} |\n" for name, value in flat(values).items())
    return f"| | |\n|---|---|\n{rows}"


def flat(values: dict[str, Any], start: str = "") -> dict[str, Any]:
    """Innermost values by their joined names."""
    found: dict[str, Any] = {}
    for name, value in values.items():
        found |= flat(value, f"{start}{name}: ") if isinstance(value, dict) else {f"{start}{name}": value}
    return found


def shown(value: Any) -> str:
    """A value in a cell."""
    if isinstance(value, list | tuple):
        return ", ".join(shown(v) if not isinstance(v, list | tuple) else " ".join(map(shown, v)) for v in value)
    return str(value)


def lines(sentences: Sequence[str]) -> str:
    """A Markdown list."""
    return "".join(f"- {sentence}\n" for sentence in sentences)


def without(values: dict[str, Any], *names: str) -> dict[str, Any]:
    return {name: value for name, value in values.items() if name not in names}
