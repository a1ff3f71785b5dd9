"""Which calibration subjects decide on the deviation and on its intervals, and how much each of them weighs.

An interval is promised for the next patient, not for the next voxel, so subjects count, each as much as any other
(pooling the distribution functions of groups: Dunn, Wasserman and Ramdas, JASA 2022). Exact hierarchical conformal
intervals (Lee, Barber and Willett, 2023) put a share of 1 / (subjects + 1) at infinity: with three subjects no interval
of 90 or 95 % would end. Errors in simulated heads are not those in patients, so where there are enough real subjects,
they decide alone, and simulated ones are only reported.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from .case_sampling import Sample

REAL = "real"
#: Subjects that a form of the deviation can be chosen from, and real ones that decide without the simulated ones.
FEWEST_SUBJECTS = 3


@dataclass(frozen=True)
class SubjectRule:
    """Who decides.

    Args:
        words: the rule in words.
        fitted_on: group whose subjects the model of the deviation is fitted and chosen on; "" for all.
        quantiles_of: group whose subjects give the multipliers; "" for all.
        seen_widen: subjects of training count for the multipliers, too, where they make an interval wider than the
            others alone would. Their errors may be smaller than those of a new patient, so they never make it narrower.
    """

    words: str
    fitted_on: str = ""
    quantiles_of: str = ""
    seen_widen: bool = False

    def for_model(self, samples: Sequence[Sample]) -> list[Sample]:
        """The samples that the model of the deviation is fitted on; never none where there are samples."""
        return _of_group(samples, self.fitted_on) or list(samples)

    def for_multipliers(self, samples: Sequence[Sample]) -> list[list[Sample]]:
        """Sets of samples that each give multipliers, of which the largest counts; never none of some."""
        group = _of_group(samples, self.quantiles_of) or list(samples)
        unseen = [s for s in group if not s.trained_on]
        return [unseen, group] if self.seen_widen and unseen else [unseen or group]

    def as_dict(self, samples: Sequence[Sample]) -> dict[str, Any]:
        """The rule and how many subjects it lets decide, JSON types only."""
        deciding = [s for part in self.for_multipliers(samples) for s in part]
        return {
            "rule": self.words,
            "model": len({s.subject for s in self.for_model(samples)}),
            "multipliers": len({s.subject for s in deciding}),
            "multipliers_never_seen_in_training": len({s.subject for s in deciding if not s.trained_on}),
        }


ALIKE = SubjectRule("groups count alike, subjects of training give no multipliers")
REAL_DECIDE = SubjectRule(
    "real subjects alone decide; those of training only ever widen an interval", REAL, REAL, seen_widen=True
)
#: What was compared, see `Testing/Benchmarks/calibrate_bundles.py`.
RULES: dict[str, SubjectRule] = {
    "groups_alike": ALIKE,
    "multipliers_of_real_subjects_never_seen": SubjectRule("", "", REAL),
    "multipliers_of_real_subjects": SubjectRule("", "", REAL, seen_widen=True),
    "real_subjects_alone": REAL_DECIDE,
}


def rule_for(samples: Sequence[Sample]) -> SubjectRule:
    """Real subjects decide alone where there are three or more, one of them not seen in training; else groups alike."""
    real = _of_group(samples, REAL)
    enough = len({s.subject for s in real}) >= FEWEST_SUBJECTS and any(not s.trained_on for s in real)
    return REAL_DECIDE if enough else ALIKE


def weights_of(samples: Sequence[Sample]) -> list[float]:
    """Weight of each case: groups alike, within a group subjects alike, within a subject cases alike. They sum to 1."""
    groups = {s.group: set() for s in samples}
    for sample in samples:
        groups[sample.group].add(sample.subject)
    cases = [(s.group, s.subject) for s in samples]
    return [1 / (len(groups) * len(groups[group]) * cases.count((group, subject))) for group, subject in cases]


def _of_group(samples: Sequence[Sample], group: str) -> list[Sample]:
    return [s for s in samples if group in ("", s.group)]
