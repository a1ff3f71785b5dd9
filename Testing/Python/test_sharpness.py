"""Sharpness: weights of two bundles mixed, and every way in which they do not belong together."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import torch
from bundle_support import ARGUMENTS, a_network
from SynthMRILib import cli
from SynthMRILib.bundles import METADATA, Bundle, load_bundle
from SynthMRILib.errors import BundleError, InputError
from SynthMRILib.progress import no_progress
from SynthMRILib.sharpness import PARTNER, blend, with_sharpness
from SynthMRILib.tasks import get_task
from SynthMRILib.tasks.base import TaskResult
from SynthMRILib.tasks.super_resolution import SuperResolutionParameters
from SynthMRILib.training.export import BundleDescription, write_bundle
from SynthMRILib.volume import Volume
from SynthMRILib.volume_io import read_volume, write_volume


def make(folder: Path, *, seed: int, partner: Bundle | None = None, **changes: int) -> Bundle:
    """A bundle with random weights; with a partner it says that it was trained on from that one."""
    network = a_network(**changes)
    torch.manual_seed(seed)
    for parameter in network.parameters():
        torch.nn.init.normal_(parameter, std=0.05)
    named = {PARTNER: {"name": partner.name, "sha256": partner.weights_sha256}, "priority": -1} if partner else {}
    description = BundleDescription(
        title=folder.name,
        task="super-resolution",
        description="Random weights for tests.",
        network_name="RRDBNet",
        network_arguments={**ARGUMENTS, **changes},
        expects={},
        training={},
        validation={},
        section=named,
    )
    return load_bundle(write_bundle(folder, network, description))


@pytest.fixture
def a_pair(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> tuple[Bundle, Bundle]:
    """A fidelity bundle and its perceptual partner, installed."""
    monkeypatch.setenv("SYNTHMRI_MODELS", str(tmp_path / "models"))
    fidelity = make(tmp_path / "models" / "smooth", seed=1)
    return fidelity, make(tmp_path / "models" / "sharp", seed=2, partner=fidelity)


def run(volume: Volume, bundle: Bundle | None, **values: object) -> TaskResult:
    parameters = SuperResolutionParameters(precision="float32", **values)
    return get_task("super-resolution").run({"input": volume}, bundle, parameters, no_progress)


def test_the_ends_are_the_two_bundles_and_between_lies_the_mean(a_pair: tuple[Bundle, Bundle]) -> None:
    fidelity, _ = a_pair
    one, other = (bundle.build_network().state_dict() for bundle in a_pair)
    half = with_sharpness(fidelity, 0.5).build_network().state_dict()
    full = with_sharpness(fidelity, 1.0).build_network().state_dict()
    assert with_sharpness(fidelity, 0.0) is fidelity
    for name, weights in half.items():
        assert torch.allclose(weights, (one[name] + other[name]) / 2, atol=1e-6), name
        assert torch.equal(full[name], other[name]), name


def test_runs_of_different_sharpness_do_not_share_a_network(a_volume: Volume, a_pair: tuple[Bundle, Bundle]) -> None:
    fidelity, perceptual = a_pair
    results = [run(a_volume, fidelity, sharpness=s).outputs["output"].voxels for s in (0.0, 0.5, 1.0, 0.0)]
    assert np.array_equal(results[0], results[3])
    assert not np.array_equal(results[0], results[1])
    assert np.array_equal(results[2], run(a_volume, perceptual).outputs["output"].voxels)


def test_without_a_bundle_the_fidelity_one_is_used_and_mixed(a_volume: Volume, a_pair: tuple[Bundle, Bundle]) -> None:
    plain, half = run(a_volume, None), run(a_volume, None, sharpness=0.5)
    assert plain.provenance["bundle"]["name"] == "smooth"
    assert "sharpness" not in plain.provenance
    assert half.provenance["sharpness"] == {
        "value": 0.5,
        "fidelity": {"name": "smooth", "sha256": a_pair[0].weights_sha256},
        "perceptual": {"name": "sharp", "sha256": a_pair[1].weights_sha256},
    }


def test_a_check_says_in_words_which_end_is_which(a_volume: Volume, a_pair: tuple[Bundle, Bundle]) -> None:
    findings = get_task("super-resolution").check(
        {"input": a_volume}, a_pair[0], SuperResolutionParameters(sharpness=0.3)
    )
    (told,) = [finding.message for finding in findings if finding.code == "sharpness"]
    assert "invented" in told
    assert "closest to the acquired values" in told


REFUSED = {
    "beyond the end": ({"sharpness": 1.5}, "from 0 .fidelity. to 1 .perceptual."),
    "below the beginning": ({"sharpness": -0.1}, "from 0 .fidelity. to 1 .perceptual."),
    "no network": ({"sharpness": 0.5, "method": "bspline"}, "for the network alone"),
}


@pytest.mark.parametrize("case", REFUSED)
def test_a_sharpness_that_cannot_be_is_refused(a_volume: Volume, a_pair: tuple[Bundle, Bundle], case: str) -> None:
    values, words = REFUSED[case]
    with pytest.raises(InputError, match=words):
        run(a_volume, a_pair[0], **values)


def test_a_bundle_without_partner_says_so(a_volume: Volume, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SYNTHMRI_MODELS", str(tmp_path))
    alone = make(tmp_path / "alone", seed=1)
    with pytest.raises(InputError, match="No perceptual bundle that belongs to 'alone' is installed"):
        run(a_volume, alone, sharpness=0.5)


def test_the_perceptual_bundle_runs_as_it_is_and_is_not_sharpened_further(
    a_volume: Volume, a_pair: tuple[Bundle, Bundle]
) -> None:
    assert run(a_volume, a_pair[1]).provenance["bundle"]["name"] == "sharp"
    with pytest.raises(InputError, match="Choose its fidelity partner 'smooth'"):
        run(a_volume, a_pair[1], sharpness=0.5)


def test_networks_that_differ_or_do_not_descend_are_not_mixed(tmp_path: Path, a_pair: tuple[Bundle, Bundle]) -> None:
    wider = make(tmp_path / "wider", seed=3, partner=a_pair[0], features=12)
    with pytest.raises(BundleError, match="different networks"):
        blend(a_pair[0], wider, 0.5)
    stranger = make(tmp_path / "stranger", seed=4)
    with pytest.raises(BundleError, match="not trained from the weights of 'smooth'"):
        blend(a_pair[0], stranger, 0.5)


def test_altered_weights_of_the_partner_are_found(a_pair: tuple[Bundle, Bundle]) -> None:
    fidelity, perceptual = a_pair
    metadata = json.loads((perceptual.folder / METADATA).read_text())
    metadata["synthmri"]["sha256"] = "0" * 64
    (perceptual.folder / METADATA).write_text(json.dumps(metadata))
    with pytest.raises(BundleError, match="weights of bundle 'sharp' were altered"):
        with_sharpness(fidelity, 0.5).build_network()


def test_the_command_takes_a_sharpness(a_volume: Volume, a_pair: tuple[Bundle, Bundle], tmp_path: Path) -> None:
    del a_pair  # installed
    write_volume(a_volume, tmp_path / "in.nrrd")
    for name, sharpness in (("a", "0"), ("b", "0.5")):
        arguments = ["super-resolution", str(tmp_path / "in.nrrd"), str(tmp_path / f"{name}.nrrd")]
        assert cli.main([*arguments, "--sharpness", sharpness]) == 0
    one, other = (read_volume(tmp_path / f"{name}.nrrd").voxels for name in "ab")
    assert not np.array_equal(one, other)
