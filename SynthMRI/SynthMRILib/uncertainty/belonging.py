"""Which map of uncertainty says how far to trust which result, told by the provenance of both."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ..errors import InputError
from ..provenance import as_text

#: Parameters that change nothing of what a network makes of a volume but its rounding.
WITHOUT_EFFECT = ("device", "precision", "tile", "seed", "residual")


def judges(map_provenance: Mapping[str, Any], result_provenance: Mapping[str, Any]) -> bool:
    """Whether a map was computed for the same task, model, parameters and voxels as a result.

    Args:
        map_provenance: of a map that the task "uncertainty" made (see `provenance.py`).
        result_provenance: of the result of another task, or of the mean of an uncertainty run, to which only the maps
            of that very run belong.

    What does not say how it was made matches nothing.
    """
    if map_provenance.get("task") != "uncertainty":
        return False
    if result_provenance.get("task") == "uncertainty":
        return as_text(dict(map_provenance)) == as_text(dict(result_provenance))
    model, inputs = _model(map_provenance), _inputs(map_provenance)
    if not model or not inputs or (model, inputs) != (_model(result_provenance), _inputs(result_provenance)):
        return False
    return _parameters_agree(map_provenance.get("parameters") or {}, result_provenance)


def _parameters_agree(of_map: dict[str, Any], result_provenance: Mapping[str, Any]) -> bool:
    from ..tasks.uncertainty import UncertaintyParameters

    try:
        asked = UncertaintyParameters.from_dict(of_map)
        judged = asked.of_task()
        made = type(judged).from_dict(result_provenance.get("parameters") or {})
    except (InputError, TypeError):  # of another version
        return False
    return asked.task == result_provenance.get("task") and _that_matter(judged) == _that_matter(made)


def _that_matter(parameters: Any) -> dict[str, Any]:
    values = {name: value for name, value in parameters.as_dict().items() if name not in WITHOUT_EFFECT}
    if values.get("method") == "auto":  # only what a network makes has an uncertainty
        values["method"] = "network"
    return values


def _model(provenance: Mapping[str, Any]) -> str | None:
    return (provenance.get("bundle") or {}).get("sha256")


def _inputs(provenance: Mapping[str, Any]) -> dict[str, str | None]:
    return {role: facts.get("sha256") for role, facts in (provenance.get("inputs") or {}).items()}
