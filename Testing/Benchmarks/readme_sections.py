"""Sections of the README's block of figures, each made from one record in `Documentation/figures`."""

from __future__ import annotations

from typing import Any

PEERS = {
    "noisy input": "noisy input",
    "dipy-nlmeans": "non-local means (DIPY)",
    "ants-denoise": "non-local means (ANTs)",
}


def cost(record: dict[str, Any]) -> str:
    """A row for each way to run the network: seconds, peak memory and its estimate, share outside convolutions."""
    head = ["run", "voxels", "tiles", "seconds", "peak memory (estimate) [GB]", "time outside convolutions"]
    rows = []
    for name, facts in record["variants"].items():
        size, tiles = (" x ".join(map(str, facts[key])) for key in ("shape_kji", "tiles_kji"))
        peak, estimate = (facts[key] / 1e9 for key in ("peak_memory_bytes", "peak_memory_bytes_by_estimate"))
        share = facts.get("share_outside_convolutions")
        outside = "" if share is None else f"{100 * share:.0f} %"
        rows.append([name, size, tiles, f"{facts['seconds']:.1f}", f"{peak:.1f} ({estimate:.1f})", outside])
    machine = record["machine"]
    title = f"What super-resolution costs on a CPU with {machine['threads']} cores ({machine['instructions']}):"
    return f"{title}\n\n{table(head, rows)}\n{measured(record)}"


def denoising(record: dict[str, Any]) -> str:
    """A row for each contrast and level of noise, PSNR of every method, the best in bold."""
    (name,) = record["bundles"]
    methods = ["noisy input", name, *(m for m in PEERS if m != "noisy input")]
    rows = []
    for contrast, facts in record["volumes"].items():
        for level in dict.fromkeys(row["level_percent"] for row in facts["rows"]):
            found = {row["method"]: row["psnr"] for row in facts["rows"] if row["level_percent"] == level}
            rows.append([contrast, f"{level:g} %", *(bold(found, method) for method in methods)])
    head = ["contrast", "added noise", *(PEERS.get(method, method) for method in methods)]
    title = f"Test subject {record['subject']}, denoising, {record['block']}: PSNR [dB] ↑, best in bold."
    return f"{title}\n\n{table(head, rows)}\nBundle: {bundles(record)}. {record['caveat']} {measured(record)}"


def bold(found: dict[str, float], method: str) -> str:
    if method not in found:
        return ""
    text = f"{found[method]:.2f}"
    return f"**{text}**" if found[method] == max(found.values()) else text


def bundles(record: dict[str, Any]) -> str:
    return ", ".join(f"{name} (SHA-256 {sha256[:12]})" for name, sha256 in record["bundles"].items()) or "none"


def measured(record: dict[str, Any]) -> str:
    """How to measure it again."""
    return f"Measured at {commit_in_words(record['commit'])} by `{record['command']}`.\n"


def commit_in_words(commit: str) -> str:
    """The commit of a record, short, and whether the code differed from it (`records.current_commit`)."""
    name, plus, _ = commit.partition("+")
    return f"commit {name[:12]}" + (" with uncommitted changes" if plus else "")


def table(head: list[str], rows: list[list[str]]) -> str:
    """A Markdown table."""
    return "".join(f"| {' | '.join(line)} |\n" for line in [head, ["---"] * len(head), *rows])


#: Records that have a section: file name -> how it is made, in the order of the README.
SECTIONS = {"denoising_patient19": denoising, "super_resolution_cost": cost}
