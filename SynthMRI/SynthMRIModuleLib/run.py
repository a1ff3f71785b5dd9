"""One run of a task on volume nodes: from the nodes to the child process and back to new nodes.

The scene is touched only at the very end and only on success. The inputs are copied when the run starts; if one of the
nodes is deleted meanwhile, or the scene closed, the run is cancelled.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import slicer
from slicer.i18n import tr as _

from .bundle_choice import judged_request
from .frames import frame_number, frame_text
from .inputs import Inputs, leading_role, roles_of, voxels_of_inputs
from .made_from import FRAME
from .overlay import UNCERTAINTY_ROLES, scale_maximum, show_as_map
from .result_nodes import SourceSnapshot, add_result_node, remove_result_node

if TYPE_CHECKING:
    from SynthMRILib.jobs.client import JobClient
    from SynthMRILib.jobs.job import Job

#: Tasks whose result has another contrast than its inputs.
NEW_CONTRAST_TASKS = ("synthetic-dir",)
#: Name of the node of each output role, after the name of its source; one not listed is not put into the scene.
OutputNames = dict[str, str]
OutputNodes = dict[str, slicer.vtkMRMLScalarVolumeNode]


@dataclass
class Callbacks:
    """Who is told about a run; all are called from `Run.poll`.

    Args:
        on_progress: fraction done (0 to 1), what is being done, seconds left or None.
        on_log: one line of the child's log.
        on_finished: the new nodes by output role.
        on_error: a SynthMRIError (Cancelled when the user, or the end of the scene, stopped the run).
    """

    on_progress: Callable[[float, str, float | None], None] | None = None
    on_log: Callable[[str], None] | None = None
    on_finished: Callable[[OutputNodes], None] | None = None
    on_error: Callable[[Exception], None] | None = None


class Run:
    """A started run.

    Args:
        client: runs the job.
        task: name of the task.
        inputs: nodes by role; copied, never changed. Raises InputError when they cannot be used.
        bundle: name or folder of the bundle, None for a run that needs none.
        parameters: parameters of the task, JSON types.
        output_names: suffix of the node name for each output role that becomes a node.

    Attributes:
        on_ended: called with the run at its end, before the callbacks tell how it ended.
    """

    def __init__(
        self,
        client: JobClient,
        task: str,
        inputs: Inputs,
        *,
        bundle: str | None,
        parameters: dict[str, Any],
        output_names: OutputNames,
        callbacks: Callbacks,
    ) -> None:
        roles = roles_of(task, parameters)
        kept = {role: voxels.kept() for role, voxels in voxels_of_inputs(roles, inputs).items()}
        leading = inputs[leading_role(roles, inputs)]
        self._source = SourceSnapshot.of(leading, *(node for node in inputs.values() if node is not leading))
        self._name = " ".join(filter(None, [leading.GetName(), frame_text(leading)]))
        self._frame = frame_number(leading)
        self._task = task
        self._new_contrast = judged_request(task, parameters)[0] in NEW_CONTRAST_TASKS
        self._output_names = output_names
        self._callbacks = callbacks
        self._source_lost = self._told_waiting = False
        self._delivered = False
        self._began: float | None = None
        self._ended: float | None = None
        self.on_ended: Callable[[Run], None] = lambda _run: None
        volumes = lambda: {role: voxels.volume() for role, voxels in kept.items()}  # noqa: E731
        self._job: Job = client.submit(task, volumes, bundle=bundle, parameters=parameters)
        self._job.on_progress = self._on_progress
        self._job.on_log = callbacks.on_log

    @property
    def active(self) -> bool:
        """True until the end of the run was told."""
        return not self._delivered

    @property
    def title(self) -> str:
        """Name of the volume that the run is for."""
        return f"{self._name} {self._output_names['output']}"

    @property
    def seconds(self) -> float:
        """How long the run has been, or was, computed."""
        return 0.0 if self._began is None else (self._ended or time.monotonic()) - self._began

    @property
    def findings(self) -> list[str]:
        """Sentences about the result that the task gave with it; empty until the run is done."""
        measured = self._job.result.measurements if self._job.result is not None else {}
        return [finding["message"] for finding in measured.get("findings", [])]

    @property
    def waiting(self) -> bool:
        """True while runs that were started before, here or by another module, are not done."""
        return self._job.state == "queued"

    def poll(self, *, tell_waiting: bool = True) -> None:
        """Pass on what happened since the last call. Never waits.

        Args:
            tell_waiting: whether it is news that the run waits for others.
        """
        if self._delivered:
            return
        if not self._source.in_scene and not self._source_lost:
            self._source_lost = True
            self._job.cancel()
        self._job.poll()
        if not self.waiting and self._began is None:
            self._began = time.monotonic()
        if self.waiting and tell_waiting and not self._told_waiting:
            self._told_waiting = True
            self._tell_progress(0.0, _("Waiting for another run to end"), None)
        if self._job.finished:
            self._deliver()

    def cancel(self) -> None:
        """Stop; the end is told by a later `poll`."""
        self._job.cancel()

    def _on_progress(self, event: Any) -> None:
        self._tell_progress(event.fraction, event.message, event.seconds_left)

    def _tell_progress(self, fraction: float, message: str, seconds_left: float | None) -> None:
        if self._callbacks.on_progress is not None:
            self._callbacks.on_progress(fraction, message, seconds_left)

    def _deliver(self) -> None:
        self._delivered, self._ended = True, time.monotonic()
        self.on_ended(self)
        error = self._lost_error() or self._job.error
        if error is None:
            try:
                nodes = self._make_nodes()
            except Exception as problem:
                error = problem
        if error is None:
            _call(self._callbacks.on_finished, nodes)
        else:
            _call(self._callbacks.on_error, error)

    def _lost_error(self) -> Exception | None:
        if self._source.in_scene:
            return None
        from SynthMRILib.errors import Cancelled

        return Cancelled(_("An input volume was removed from the scene, so the run was stopped."))

    def _make_nodes(self) -> OutputNodes:
        result = self._job.result
        provenance = result.provenance | ({} if self._frame is None else {FRAME: self._frame})
        nodes: OutputNodes = {}
        slicer.mrmlScene.SaveStateForUndo()
        try:
            for role, suffix in self._output_names.items():
                if role in result.outputs:
                    nodes[role] = add_result_node(
                        result.outputs[role],
                        source=self._source,
                        name=f"{self._name} {_unless_unchanged(suffix, result.provenance)}",
                        role=role,
                        task=self._task,
                        provenance=provenance,
                        own_window=role == "output" and self._new_contrast,
                    )
            _show_maps(nodes)
            result.outputs.clear()  # they are the scene's now, and its user may want their memory back
        except Exception:
            for node in nodes.values():
                remove_result_node(node)
            raise
        return nodes


def _unless_unchanged(suffix: str, provenance: dict[str, Any]) -> str:
    """Motion correction that found nothing to correct gives the input back, which must not be called corrected."""
    decision = provenance.get("motion", {}).get("decision", "corrected")
    return suffix if decision == "corrected" else _("SYNTH unchanged copy")


def _show_maps(nodes: OutputNodes) -> None:
    """Maps of uncertainty get their own colors on the fixed scale of the volume they belong to."""
    maps = [nodes[role] for role in UNCERTAINTY_ROLES if role in nodes]
    maximum = scale_maximum(nodes["output"], maps[0]) if maps and "output" in nodes else 0.0
    for node in maps if maximum > 0 else ():
        show_as_map(node, maximum)


def _call(callback: Callable[[Any], None] | None, value: object) -> None:
    if callback is not None:
        callback(value)
