"""The record of a comparison of sets as text."""

from __future__ import annotations

from typing import Any

PLANE_ROWS = (
    ("fidelity", "frechet_distance", "Frechet distance", "lower is nearer"),
    ("fidelity", "kernel_distance", "kernel distance (KID)", "lower is nearer; 0 for equal distributions"),
    ("fidelity", "precision", "precision", "share of synthetic slices within the real manifold"),
    ("variety", "recall", "recall", "share of real slices within the synthetic manifold"),
)


def as_text(record: dict[str, Any]) -> str:
    """A table of fidelity, variety, utility and efficiency, what was refused, and the warnings."""
    counts = record["volumes"]
    features = record["features"]
    lines = [
        f"{counts['synthetic']} synthetic beside {counts['real']} real volumes",
        f"features: {features['name']} ({features['size']} numbers). {features['note']}",
        "",
    ]
    lines += [
        line for group, key, title, meaning in PLANE_ROWS for line in _by_plane(record[group][key], title, meaning)
    ]
    lines += [*_others(record), *_utility(record["utility"]), *_efficiency(record["efficiency"])]
    lines += _copies(record["memorization"])
    return "\n".join([*lines, *(f"warning: {text}" for text in record["warnings"])])


def _by_plane(values: dict[str, Any], title: str, meaning: str) -> list[str]:
    if "refused" in values:
        return [_line(title, f"not measured: {values['refused']}")]
    return [_line(f"{title}, {plane}", _estimate(value), meaning) for plane, value in values.items()]


def _others(record: dict[str, Any]) -> list[str]:
    pairs, mean = record["variety"]["ms_ssim_of_pairs"], record["variety"]["bytes_of_the_mean"]
    scales = record["variety"]["ms_ssim_scales"]
    return [
        _line(f"MS-SSIM of pairs ({scales} scales), real", _estimate(pairs["real"])),
        _line(f"MS-SSIM of pairs ({scales} scales), synthetic", _estimate(pairs["synthetic"]), "as the real one"),
        _line("size of the mean, real", f"{mean['real']} bytes"),
        _line("size of the mean, synthetic", f"{mean['synthetic']} bytes", "as the real one"),
        _line("MMD^2 of voxels (Gaussian)", _estimate(record["discrepancy"]["of_voxels"]), "0 for equal distributions"),
        _line("MMD^2 of features (Gaussian)", _estimate(record["discrepancy"]["of_features"]), "the same"),
    ]


def _utility(values: dict[str, Any]) -> list[str]:
    if "refused" in values:
        return [_line("utility", f"not measured: {values['refused']}")]
    rows = []
    for arm, value in values.items():
        meaning = "" if arm == "real" else f"gain over real alone {_estimate(value['gain'])}{_p(value['p'])}"
        rows.append(_line(f"balanced accuracy, {arm}", f"{value['balanced_accuracy']:.3f}", meaning))
    return rows


def _p(p: float | None) -> str:
    return "" if p is None else f", p = {p:.3f}"


def _efficiency(values: dict[str, Any]) -> list[str]:
    if "refused" in values:
        return [_line("seconds a volume", f"not measured: {values['refused']}")]
    return [_line("seconds a volume (median)", f"{values['median_seconds_per_volume']:.2f}")]


def _copies(found: dict[str, Any]) -> list[str]:
    distances = f"{found['smallest_distance']:.4f} (among real ones {found['smallest_distance_among_real']:.4f})"
    rows = [
        _line("nearest real volume", distances, "1 - correlation of voxels"),
        _line("nearer than real ones are", f"{found['closer_than_real']:.2f}", "about 0.5 for equal distributions"),
    ]
    rows += [f"COPY: '{copy['synthetic']}' is nearly '{copy['real']}' ({copy['distance']})" for copy in found["copies"]]
    return rows


def _estimate(value: dict[str, Any]) -> str:
    low, high = value["low"], value["high"]
    return f"{value['value']:.4g}" + ("" if low is None or high is None else f" [{low:.4g}, {high:.4g}]")


def _line(title: str, value: str, meaning: str = "") -> str:
    return f"{title:<42}{value:<34}{meaning}".rstrip()
