"""Pack simulated heads for synthetic DIR: FLAIR, T1w, T2w and the DIR of the same anatomy, with what corruption needs.

Each head has the lesions of its own draw; their outlines come from lesion masks of other patients. Inputs take any
protocol and field strength; the target is one fixed DIR at 3 T, noise-free, so that a network has one answer to learn.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from safetensors.numpy import save_file
from scipy import ndimage

from ..dir_synthesis import sequences
from ..errors import InputError
from ..simulation import lesions, protocols, subject
from ..simulation.fields import smooth_field
from ..simulation.lesion_shapes import Outline, outlines_of
from ..simulation.protocols import ProtocolRecord
from ..simulation.tissue import BRAIN_LABELS
from ..volume_io import read_volume
from .cache import Cache, Entry
from .packing import SPLIT

INPUTS = ("flair", "t1", "t2")
#: Channels of the volumes (float16) and of the maps (uint8) of a head.
VOLUMES = (*INPUTS, "dir")
MAPS = ("lesion", "fluid", "depth")
#: `depth` is the distance outside of the pia [mm] as (distance + DEPTH_OFFSET) * DEPTH_STEPS, clipped to 0-255.
DEPTH_OFFSET, DEPTH_STEPS = 8.0, 8.0
MARGIN = 12
LESION_FREE = 0.12
CORTICAL_FACTOR = 3.0
#: Lesion masks whose outlines are not used: subjects that figures are reported for.
REPORTED = ("patient07", "patient19")
GRAY_LABELS, WHITE_LABELS, VENTRICLE_LABELS = (3, 42), (2, 41), (4, 43)


@dataclass(frozen=True, eq=False)
class PackedHead:
    """One simulated head.

    Args:
        entry: what it is; `extra` holds landmarks (fluid, gray and white matter) of every input and the lesion table.
        volumes: float16 (4, k, j, i), see VOLUMES: inputs in units of white matter, DIR in units of nominal cortex.
        maps: uint8 (3, k, j, i), see MAPS.
    """

    entry: Entry
    volumes: np.ndarray
    maps: np.ndarray


def target_protocol() -> ProtocolRecord:
    """The DIR that networks learn: that of the dictionary (`dir_synthesis.sequences`), at 3 T, without imperfection."""
    times = {"tr": sequences.DIR_TR, "te": sequences.DIR_TE, "ti": sequences.DIR_TI1, "ti2": sequences.DIR_TI2}
    return ProtocolRecord("dir", "dir", 3.0, train=sequences.DIR_TRAIN, **times)


def nominal_cortex() -> float:
    """Signal of nominal cortex in `target_protocol`, relative to fully relaxed water: 1 in network units."""
    return float(np.abs(sequences.dir_signal(sequences.NOMINAL))[1])


def pack_heads(
    data: Path,
    output: Path,
    *,
    part: str,
    heads_per_map: int,
    seed: int,
    report: Callable[[str], None],
    real: bool = False,
) -> list[Entry]:
    """Write the simulated heads of one part of the split to one file, and real examinations if asked for.

    Args:
        data: folder with `label_maps` and `lesion_masks_mni`.
        output: safetensors file to write.
        part: "train" or "validate"; the test part is never packed.
        heads_per_map: heads made from each label map, each with its own shape, tissues, lesions and protocols.
        seed: seed of the simulation.
        report: told of every head as it is packed.
        real: add the real examinations of `dir_real.EXAMINATIONS` with their dictionary DIR.
    """
    if part not in ("train", "validate"):
        raise InputError(f"Part '{part}' cannot be packed for training; choose 'train' or 'validate'.")
    outlines = real_outlines(data)
    heads = []
    for head in heads_of(data, part, heads_per_map, seed, outlines):
        heads.append(head)
        report(f"{head.entry.subject} {len(head.entry.extra['lesions'])} lesions {head.volumes.shape[1:]}")
    if real:
        from .dir_real import real_heads

        heads += real_heads(data, part, report)
    if not heads:
        raise InputError(f"No label map of part '{part}' was found in '{data.name}'.")
    write_heads(output, heads)
    return [head.entry for head in heads]


def heads_of(data: Path, part: str, heads_per_map: int, seed: int, outlines: list[Outline]) -> Iterator[PackedHead]:
    """The heads of a part, one round over the label maps after another."""
    for n in range(heads_per_map):
        for number in SPLIT[part]["heads"]:
            path = data / "label_maps" / f"head_{number:02d}.nii.gz"
            if path.is_file():
                labels = read_volume(path).voxels.astype(np.int16)
                yield simulate(labels, np.random.default_rng([seed, number, n]), f"head_{number:02d}", outlines)


def real_outlines(data: Path) -> list[Outline]:
    """Outlines of real lesions, without those of subjects that figures are reported for."""
    paths = sorted((data / "lesion_masks_mni").glob("patient*.nii.gz"))
    used = [p for p in paths if p.name.split(".")[0] not in REPORTED]
    return [outline for path in used for outline in outlines_of(read_volume(path).voxels)]


def simulate(labels: np.ndarray, rng: np.random.Generator, name: str, outlines: list[Outline]) -> PackedHead:
    """One head from a label map (k, j, i) of 1 mm."""
    record = subject.draw(rng, lesions_probability=0.0)
    drawn = lesions.draw(rng, cortical_factor=CORTICAL_FACTOR, outlines=outlines)
    if rng.random() < LESION_FREE:
        drawn = None
    anatomy = replace(record.anatomy, labelled_lesions=False)
    person = subject.apply(subject.SubjectRecord(anatomy, record.deformation, drawn, None), labels)
    return imaged(person, draw_protocols(rng), name)


def imaged(person: subject.Subject, plans: dict[str, ProtocolRecord], name: str) -> PackedHead:
    """A head from a subject and the protocols of its inputs."""
    depth = pial_depth(person.labels)
    box = bounding_box(depth < 2.0)
    maps = np.stack(
        [person.lesions.mask[box] > 0, person.head.crop(box).fraction("csf") * 255, packed_depth(depth[box])]
    )
    volumes, landmarks = [], {}
    for role, plan in plans.items():
        voxels = person.volume(plan)
        landmarks[role] = tissue_medians(voxels, person.labels)
        volumes.append(voxels[box] / np.float32(landmarks[role]["white-matter"]))
        landmarks[role] = {tissue: value / landmarks[role]["white-matter"] for tissue, value in landmarks[role].items()}
    volumes.append(person.volume(target_protocol())[box] / np.float32(nominal_cortex()))
    extra = {
        "landmarks": landmarks,
        "field_strength": plans["flair"].field_strength,
        "sequences": {role: plan.sequence for role, plan in plans.items()},
        "lesions": [_shifted(row, box) for row in person.lesions.table],
    }
    packed = np.clip(np.stack(volumes), 0, 60).astype(np.float16)
    return PackedHead(Entry(name, "dir", "simulated", False, extra), packed, np.rint(maps).astype(np.uint8))


def _shifted(row: dict[str, Any], box: tuple[slice, ...]) -> dict[str, Any]:
    center = [int(c) - part.start for c, part in zip(row["center_kji"], box)]
    return {"location": row["location"], "volume_mm3": row["volume_mm3"], "center_kji": center}


def draw_protocols(rng: np.random.Generator) -> dict[str, ProtocolRecord]:
    """Protocols of FLAIR, T1w and T2w of one examination.

    Wider than `protocols.draw` where real scans are: long effective echo times and early inversion of 3D FLAIR, and
    T1w by inversion recovery with a spin-echo readout.
    """
    field_strength = float(rng.choice((1.5, 3.0), p=(0.4, 0.6)))
    plans = {role: protocols.draw(rng, name, field_strength=field_strength) for role, name in _CONTRASTS.items()}
    flair = plans["flair"]
    plans["flair"] = replace(flair, te=float(rng.uniform(90, 180)), ti=flair.ti * float(rng.uniform(0.94, 1.02)))
    if rng.random() < INVERSION_RECOVERY_SHARE:
        plans["t1"] = _inversion_recovery(rng, field_strength)
    return plans


_CONTRASTS = {"flair": "flair", "t1": "t1w", "t2": "t2w"}
INVERSION_RECOVERY_SHARE = 0.35


def _inversion_recovery(rng: np.random.Generator, field_strength: float) -> ProtocolRecord:
    return ProtocolRecord(
        contrast="t1w",
        sequence="flair",
        field_strength=field_strength,
        tr=float(rng.uniform(1500, 2600)),
        te=float(rng.uniform(8, 25)),
        ti=float(rng.uniform(600, 1000)),
        train=float(rng.uniform(60, 150)),
        inversion=float(rng.uniform(0.93, 1.0)),
        magnetization_transfer=float(rng.uniform(0.0, 0.1)),
        blood=(float(rng.uniform(0.05, 0.4)), float(rng.uniform(0.2, 0.8))),
    )


def pial_depth(labels: np.ndarray) -> np.ndarray:
    """Distance outside of the brain's surface [voxels], negative inside; float32 (k, j, i)."""
    inside = np.isin(labels, BRAIN_LABELS)
    inside = ndimage.binary_fill_holes(ndimage.binary_closing(inside, iterations=2))
    depth = ndimage.distance_transform_edt(~inside) - ndimage.distance_transform_edt(inside)
    return depth.astype(np.float32)


def packed_depth(depth: np.ndarray) -> np.ndarray:
    return np.clip((depth + DEPTH_OFFSET) * DEPTH_STEPS, 0, 255)


def unpacked_depth(packed: np.ndarray) -> np.ndarray:
    """Distance outside of the pia [mm], float32, from -8 to 23.9."""
    return packed.astype(np.float32) / np.float32(DEPTH_STEPS) - np.float32(DEPTH_OFFSET)


def strip_mask(depth: np.ndarray, rng: np.random.Generator, *, mean_mm: float, spread_mm: float) -> np.ndarray:
    """Brain as a stripping tool would leave it: a border that wanders about `mean_mm` outside of the pia."""
    wander = smooth_field(depth.shape, rng, length=18.0, order=1) if spread_mm > 0 else np.float32(0)
    return depth < mean_mm + np.float32(spread_mm) * wander


def bounding_box(mask: np.ndarray) -> tuple[slice, ...]:
    """Box around a mask with MARGIN voxels, within the array."""
    box = ndimage.find_objects(mask.astype(np.uint8))[0]
    return tuple(slice(max(0, s.start - MARGIN), min(n, s.stop + MARGIN)) for s, n in zip(box, mask.shape))


def tissue_medians(voxels: np.ndarray, labels: np.ndarray) -> dict[str, float]:
    """Median signal of fluid (inner voxels of the lateral ventricles), cortex and inner white matter."""
    parts = {
        "fluid": ndimage.binary_erosion(np.isin(labels, VENTRICLE_LABELS)),
        "gray-matter": np.isin(labels, GRAY_LABELS),
        "white-matter": ndimage.binary_erosion(np.isin(labels, WHITE_LABELS)),
    }
    return {name: float(np.median(voxels[part])) if part.any() else 0.0 for name, part in parts.items()}


def write_heads(path: Path, heads: list[PackedHead]) -> None:
    """Write heads and their entries to one file, which `HeadCache` reads."""
    tensors = {f"volume_{n:04d}": h.volumes for n, h in enumerate(heads)}
    tensors |= {f"maps_{n:04d}": h.maps for n, h in enumerate(heads)}
    path.parent.mkdir(parents=True, exist_ok=True)
    save_file(tensors, path, metadata={"entries": json.dumps([asdict(h.entry) for h in heads])})


class HeadCache(Cache):
    """Reads packed heads."""

    def shape(self, index: int) -> tuple[int, int, int]:
        return self._shapes[index][1:]

    def blocks(self, index: int, start: tuple[int, int, int], size: int) -> tuple[np.ndarray, np.ndarray]:
        """float32 volumes (4, s, s, s) and uint8 maps (3, s, s, s) from `start` (k, j, i), zero beyond the head."""
        shape = self.shape(index)
        inside = tuple(slice(max(0, s), max(0, min(n, s + size))) for s, n in zip(start, shape))
        target = tuple(slice(part.start - s, part.stop - s) for part, s in zip(inside, start))
        found = []
        for name, channels, kind in (("volume", len(VOLUMES), np.float32), ("maps", len(MAPS), np.uint8)):
            block = np.zeros((channels, *(size,) * 3), dtype=kind)
            if name == "maps":
                block[MAPS.index("depth")] = 255
            if all(part.stop > part.start for part in inside):
                stored = self._file.get_slice(f"{name}_{index:04d}")
                block[(slice(None), *target)] = stored[(slice(None), *inside)]
            found.append(block)
        return found[0], found[1]

    def head(self, index: int) -> tuple[np.ndarray, np.ndarray]:
        """All of a head: float16 volumes and uint8 maps."""
        return self._file.get_tensor(f"volume_{index:04d}"), self._file.get_tensor(f"maps_{index:04d}")
