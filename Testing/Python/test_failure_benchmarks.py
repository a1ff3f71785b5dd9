"""Finding failures: scores of places with a structure, and exponents that hold on the head that is left out."""

from __future__ import annotations

import numpy as np
import pytest
from Benchmarks.failure_combination import drawn, leave_one_out
from Benchmarks.failure_detection import SCORES, Place, score
from SynthMRILib.uncertainty.combination import SIGNALS

SHAPE = (20, 20, 20)


def a_place(head: int, seed: int) -> Place:
    """Errors of the place with the structure are as large as the total says, most of them at the structure."""
    rng = np.random.default_rng([head, seed])
    maps = {}
    for kind in ("usual", "foreign"):
        mask = np.zeros(SHAPE)
        if kind == "foreign":
            mask[6:12, 6:12, 6:12] = 1
        made = {name: rng.lognormal(size=SHAPE) for name in {*SIGNALS, *SCORES} - {"combination"}}
        made["total"] = made["total"] * (1 + 4 * mask)
        truth = rng.uniform(0.2, 0.8, SHAPE)
        result = truth + 0.01 * made["total"] * rng.standard_normal(SHAPE)
        maps[kind] = {"truth": truth, "result": result, "mask": mask, "brain": np.ones(SHAPE, bool), **made}
    return Place(f"head_{head} tumor t1w", "tumor", **maps)


@pytest.fixture(scope="module")
def places() -> list[Place]:
    return [a_place(head, seed) for head in (13, 14, 15) for seed in (0, 1)]


def test_the_total_and_the_combination_find_failures_that_the_others_know_nothing_of(places: list[Place]) -> None:
    figures = score(places)
    assert set(figures["auroc"]) == set(SCORES)
    assert min(figures["auroc"][name] for name in ("total", "combination")) > 0.75
    assert figures["auroc"]["edges"] == pytest.approx(0.5, abs=0.05)
    assert all(row["failures_at_structure"] > 0 and row["share_found"] > 0.5 for row in figures["places"])
    assert figures["auroc_lesion_like"]["total"] > 0.8


def test_each_head_is_scored_with_what_the_others_say(places: list[Place]) -> None:
    heads: dict[str, list] = {}
    for place in places:
        heads.setdefault(place.name.split()[0], []).append(drawn(place))
    found = leave_one_out(heads)
    assert set(found["weights_without"]) == set(found["auroc_by_head"]) == set(heads)
    assert found["auroc_left_out"]["combination"] > 0.75 > found["auroc_left_out"]["residual"]
