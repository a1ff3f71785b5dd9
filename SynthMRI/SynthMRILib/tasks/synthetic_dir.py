"""Synthetic DIR: a double inversion recovery volume from FLAIR, T1w and T2w, on the grid of the first given, in a.u.

No acquired DIR was at hand to compare with. Method "network" takes any of the three contrasts; "dictionary" fits
tissue parameters voxel by voxel and applies the signal equation; "combined" is the mean of both at common levels of
the tissues, because their errors differ; "arithmetic" is the baseline they have to beat.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np

from ..bundles import Bundle, best_bundle, find_bundles
from ..findings import Finding, raise_on_error
from ..input_checks import check_volume
from ..progress import Progress, part_of
from ..provenance import make_provenance
from ..volume import Volume
from .base import InputRole, Parameters, TaskResult

if TYPE_CHECKING:
    from ..dir_synthesis.network import DirInput
    from ..dir_synthesis.preprocessing import Prepared
    from ..dir_synthesis.tissue_fit import TissueFit

METHODS = ("auto", "network", "combined", "dictionary", "arithmetic")
#: Methods that run a network.
WITH_NETWORK = ("network", "combined")
FORMULAS = ("auto", "flair-minus-t1", "flair-times-t2")
CONTRASTS = ("flair", "t1", "t2")
EXPERIMENTAL = (
    "Synthetic DIR is experimental: it was never compared with an acquired DIR. "
    "It can show lesions that are not there and hide lesions that are; read it beside FLAIR."
)


@dataclass(frozen=True)
class SyntheticDirParameters(Parameters):
    """Parameters of synthetic DIR. Only the network uses a device, a precision and a tile; no method is random.

    Args:
        method: "network", "dictionary", "combined" (the mean of both at common levels of the tissues), "arithmetic",
            or "auto": the network when a bundle is given or one is installed that is not experimental, else the
            dictionary.
        formula: of "arithmetic": "flair-minus-t1", "flair-times-t2", or "auto" for the first that the inputs allow.
        factor: k of FLAIR - k T1, 0 to 2.
        smoothing: standard deviation of a Gaussian blur of the arithmetic [mm], 0 to 5.
        registered: the inputs are aligned already.
        bias_correction: run N4 on each input first.
    """

    method: str = "auto"
    formula: str = "auto"
    factor: float = 0.3
    smoothing: float = 0.0
    registered: bool = False
    bias_correction: bool = False


class SyntheticDir:
    """The task "synthetic-dir"."""

    name: ClassVar[str] = "synthetic-dir"
    title: ClassVar[str] = "Synthetic DIR (experimental)"
    roles: ClassVar[tuple[InputRole, ...]] = (
        InputRole("flair", "FLAIR", False, "FLAIR of the brain; its grid is that of the result"),
        InputRole("t1", "T1w", False, "T1w of the same examination, without contrast agent"),
        InputRole("t2", "T2w", False, "T2w of the same examination"),
        InputRole("mask", "Brain mask", False, "brain; a rough one is made for whole heads without it"),
    )
    parameters_class: ClassVar[type[Parameters]] = SyntheticDirParameters
    #: Methods whose result mixes the network's with something else, and which are calibrated by themselves.
    mixed_methods: ClassVar[tuple[str, ...]] = ("combined",)
    #: Whether the result has another contrast than every input.
    another_contrast: ClassVar[bool] = True

    def check(
        self, inputs: dict[str, Volume], bundle: Bundle | None, parameters: SyntheticDirParameters
    ) -> list[Finding]:
        """Findings about the inputs and the parameters; see `tasks.base.Task`."""
        given = [name for name in CONTRASTS if name in inputs]
        method = chosen_method(parameters, bundle)
        findings = [Finding("warning", "experimental", EXPERIMENTAL), *check_parameters(parameters)]
        findings += [*check_bundle(bundle, method), *check_contrasts(given, method, parameters)]
        for name in given:
            for found in check_volume(inputs[name]):
                findings.append(Finding(found.severity, found.code, f"{name.upper()}: {found.message}"))
        if not any(f.severity == "error" for f in findings):
            findings += check_brain(inputs, given[0])
        return findings

    def run(
        self,
        inputs: dict[str, Volume],
        bundle: Bundle | None,
        parameters: SyntheticDirParameters,
        progress: Progress,
    ) -> TaskResult:
        """Volume "output" on the grid of the first contrast given [a.u.], zero outside of the brain."""
        method = chosen_method(parameters, bundle)
        if method in WITH_NETWORK and bundle is None:
            bundle = best_bundle(self.name)
        parameters = replace(parameters, method=method)
        raise_on_error(self.check(inputs, bundle, parameters))
        if method in WITH_NETWORK:
            return self._run_network(inputs, bundle, parameters, progress)
        prepared, tissues = prepared_tissues(inputs, parameters, part_of(progress, 0.0, 0.55))
        voxels, facts = synthesize(prepared, tissues, parameters, part_of(progress, 0.55, 1.0))
        progress(1.0, "Done")
        facts |= {"preparation": prepared.facts, "tissues": tissues.as_dict(), "device": "cpu", "experimental": True}
        provenance = make_provenance(
            task=self.name, inputs=inputs, parameters=parameters.as_dict(), bundle=None, units="a.u.", **facts
        )
        return TaskResult({"output": Volume(voxels, prepared.grid)}, provenance)

    def _run_network(
        self, inputs: dict[str, Volume], bundle: Bundle, parameters: SyntheticDirParameters, progress: Progress
    ) -> TaskResult:
        from ..dir_synthesis import network

        combined = parameters.method == "combined"
        prepared = network_seen(inputs, bundle, parameters, part_of(progress, 0.0, 0.6), with_fit=combined)
        part = part_of(progress, 0.6, 1.0)
        output, facts, measured = network.run(bundle, prepared, parameters, part, with_dictionary=combined)
        provenance = make_provenance(
            task=self.name, inputs=inputs, parameters=parameters.as_dict(), bundle=bundle, **facts
        )
        return TaskResult({"output": output}, provenance, measured)

    def prepare(
        self, inputs: dict[str, Volume], bundle: Bundle, parameters: SyntheticDirParameters, progress: Progress
    ) -> DirInput:
        """Contrasts in register, stripped and in network units; see `tasks.base.NetworkTask`."""
        if parameters.method not in self.mixed_methods:
            return network_seen(inputs, bundle, parameters, progress)
        from ..dir_synthesis.network import to_be_mixed

        return to_be_mixed(network_seen(inputs, bundle, parameters, progress, with_fit=True))

    def measured(
        self, prepared: DirInput, bundle: Bundle, parameters: SyntheticDirParameters, progress: Progress
    ) -> DirInput:
        """For the mean with the dictionary, the levels of the tissues in both; see `tasks.base.NetworkTask`."""
        if parameters.method not in self.mixed_methods:
            return prepared
        from ..dir_synthesis.network import with_levels

        return with_levels(prepared, bundle, parameters, progress)

    def mixed_maps(self, prepared: DirInput, maps: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
        """The network's mean and deviations, or those of its mean with the dictionary; see `tasks.base.NetworkTask`."""
        if prepared.levels is None:
            return maps
        from ..dir_synthesis.network import mixed_maps

        return mixed_maps(prepared, maps)

    def finish(
        self,
        prepared: DirInput,
        voxels: np.ndarray,
        parameters: SyntheticDirParameters,  # noqa: ARG002
        *,
        spread: bool = False,
    ) -> Volume:
        """The DIR on the grid of the reference, zero outside of the brain; see `tasks.base.NetworkTask`."""
        from ..dir_synthesis.network import result_volume

        return result_volume(prepared, voxels, spread=spread or prepared.levels is not None)


def network_seen(
    inputs: dict[str, Volume],
    bundle: Bundle,
    parameters: SyntheticDirParameters,
    progress: Progress,
    *,
    with_fit: bool = False,
) -> DirInput:
    """What the bundle's network sees, and the channels of the dictionary fit for a hybrid or if asked for."""
    from ..dir_synthesis.network import network_input

    prepared, tissues = prepared_tissues(inputs, parameters, part_of(progress, 0.0, 0.7))
    hybrid = with_fit or bool(bundle.section.get("hybrid"))
    found = network_input(prepared, tissues, hybrid=hybrid, progress=part_of(progress, 0.7, 1.0))
    more = {"units": "a.u.", "experimental": bundle.experimental, "contrasts": sorted(prepared.contrasts)}
    more |= {"preparation": prepared.facts, "tissues": tissues.as_dict()}
    return replace(found, facts={**found.facts, **more})


def chosen_method(parameters: SyntheticDirParameters, bundle: Bundle | None) -> str:
    """The method asked for; "auto" is the network where there is one to trust or one was given."""
    if parameters.method != "auto":
        return parameters.method
    sound = bundle is not None or any(not b.experimental for b in find_bundles(SyntheticDir.name))
    return "network" if sound else "dictionary"


def prepared_tissues(
    inputs: dict[str, Volume], parameters: SyntheticDirParameters, progress: Progress
) -> tuple[Prepared, TissueFit]:
    """The inputs on one grid, and the tissues found where all of them have data."""
    from ..dir_synthesis.preprocessing import prepare
    from ..dir_synthesis.tissue_fit import fit_tissues

    prepared = prepare(
        inputs,
        registered=parameters.registered,
        bias_correction=parameters.bias_correction,
        progress=part_of(progress, 0.0, 0.9),
    )
    progress(0.9, "Fitting tissues")
    everywhere = np.logical_and.reduce(list(prepared.covered.values()))
    return prepared, fit_tissues(prepared.contrasts, everywhere, spacing=prepared.grid.spacing)


def synthesize(
    prepared: Prepared, tissues: TissueFit, parameters: SyntheticDirParameters, progress: Progress
) -> tuple[np.ndarray, dict[str, Any]]:
    """Voxels of the result (k, j, i) and what decided them."""
    from ..dir_synthesis import arithmetic, dictionary

    spacing = prepared.grid.spacing
    if parameters.method == "dictionary":
        fit = dictionary.synthesize(
            prepared.contrasts, prepared.brain, tissues, spacing=spacing, covered=prepared.covered, progress=progress
        )
        return fit.dir_signal, {"dictionary": fit.facts}
    formula = chosen_formula(parameters, set(prepared.contrasts))
    inside = np.logical_and.reduce([prepared.covered[n] for n in arithmetic.FORMULAS[formula]])
    result = arithmetic.combine(formula, prepared.contrasts, inside, tissues, factor=parameters.factor)
    return arithmetic.smoothed(result, inside, sigma_mm=parameters.smoothing, spacing=spacing), {"formula": formula}


def chosen_formula(parameters: SyntheticDirParameters, given: set[str]) -> str | None:
    """The formula asked for, or the first that the inputs allow; None when they allow none."""
    from ..dir_synthesis.arithmetic import available_formulas

    allowed = available_formulas(given)
    if parameters.formula == "auto":
        return allowed[0] if allowed else None
    return parameters.formula if parameters.formula in allowed else None


def check_parameters(parameters: SyntheticDirParameters) -> list[Finding]:
    if parameters.method not in METHODS:
        return [_error("method", f"Unknown method '{parameters.method}'. Choose one of: {', '.join(METHODS)}.")]
    if parameters.formula not in FORMULAS:
        return [_error("formula", f"Unknown formula '{parameters.formula}'. Choose one of: {', '.join(FORMULAS)}.")]
    if not 0 <= parameters.factor <= 2:
        return [_error("factor", f"The factor of T1 must lie between 0 and 2, not {parameters.factor}.")]
    if not 0 <= parameters.smoothing <= 5:
        return [_error("smoothing", f"The smoothing must lie between 0 and 5 mm, not {parameters.smoothing}.")]
    return []


def check_bundle(bundle: Bundle | None, method: str) -> list[Finding]:
    if bundle is None:
        return []
    if method not in WITH_NETWORK:
        text = f"The method '{method}' takes no bundle. Leave the bundle out, or choose the method 'network'."
        return [_error("bundle-task", text)]
    if method == "combined" and bundle.section.get("hybrid"):
        text = f"Bundle '{bundle.name}' has the dictionary in it already. Choose the method 'network'."
        return [_error("bundle-hybrid", text)]
    if bundle.task != SyntheticDir.name:
        text = f"Bundle '{bundle.name}' is made for {bundle.task}, not for {SyntheticDir.name}. Choose another bundle."
        return [_error("bundle-task", text)]
    return []


def check_contrasts(given: list[str], method: str, parameters: SyntheticDirParameters) -> list[Finding]:
    """Whether the contrasts given suffice for the method."""
    if not given:
        return [_error("inputs-none", "No volume is given. Give FLAIR, T1w or T2w, best all of them.")]
    if method in WITH_NETWORK:
        return check_network_contrasts(given)
    if "flair" not in given:
        text = "FLAIR is missing: without it lesions beside fluid cannot be told from fluid. Give FLAIR as well"
        text += ", or choose the method 'combined'." if method == "dictionary" else "."
        return [_error("inputs-flair", text)]
    if len(given) == 1:
        text = "FLAIR alone does not determine a DIR: proton density, T1 and T2 are unknown. Give T1w or T2w as well"
        text += ", or choose the method 'combined'." if method == "dictionary" else "."
        return [_error("inputs-few", text)]
    if method == "arithmetic":
        if chosen_formula(parameters, set(given)) is None:
            return [_error("formula-inputs", f"The formula '{parameters.formula}' needs a contrast that is not given.")]
        return []
    if "t1" not in given:
        text = (
            "Without T1w fluid and what lies beside it stay bright in the synthetic DIR; give T1w as well if you can."
        )
        return [Finding("warning", "inputs-without-t1", text)]
    if len(given) == 2:
        text = (
            "With two contrasts the fit of three tissue parameters leans on assumptions; give T1w and T2w if you can."
        )
        return [Finding("info", "inputs-underdetermined", text)]
    return []


def check_network_contrasts(given: list[str]) -> list[Finding]:
    """What to expect of the network when a contrast is missing."""
    if "flair" not in given:
        text = "FLAIR is missing: lesions beside fluid and cortex will be hard to see in the synthetic DIR."
        return [Finding("warning", "inputs-without-flair", text)]
    if len(given) == 1:
        text = "FLAIR alone does not determine a DIR: gray matter is guessed from its place. Give T1w or T2w as well."
        return [Finding("warning", "inputs-few", text)]
    return []


def check_brain(inputs: dict[str, Volume], reference: str) -> list[Finding]:
    """Whether the brain is known or has to be found."""
    from ..dir_synthesis.preprocessing import is_stripped

    if "mask" in inputs or is_stripped(inputs[reference]):
        return []
    text = (
        f"{reference.upper()} shows the whole head: the brain is found by a rough rule. "
        "Look at the border of the result; a brain mask or volumes without skull are better."
    )
    return [Finding("warning", "brain-rough", text)]


def _error(code: str, message: str) -> Finding:
    return Finding("error", code, message)


TASK = SyntheticDir()
