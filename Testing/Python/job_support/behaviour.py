"""A task for the tests of jobs that does to its process, for real, what goes wrong in the field."""

import ctypes
import os
import resource
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

import numpy as np
from SynthMRILib import errors
from SynthMRILib.tasks.base import InputRole, Parameters, TaskResult


@dataclass(frozen=True)
class BehaviourParameters(Parameters):
    """`behaviour` names a method of the task; `seconds` and `text` are its arguments."""

    behaviour: str = "add_one"
    seconds: float = 0.0
    text: str = ""


class ABadScan(errors.InputError):
    """An error class that the parent does not know."""


class BehaviourTask:
    name: ClassVar[str] = "behaviour"
    title: ClassVar[str] = "Behaviour"
    roles: ClassVar[tuple[InputRole, ...]] = (InputRole("input", "Input", True, "anything"),)
    parameters_class: ClassVar[type[Parameters]] = BehaviourParameters

    def check(self, inputs, bundle, parameters):  # noqa: ARG002
        return []

    def run(self, inputs, bundle, parameters, progress):  # noqa: ARG002
        volume = inputs["input"]
        self.parameters, self.progress = parameters, progress
        measured = getattr(self, parameters.behaviour)() or {}
        outputs = {} if parameters.behaviour == "give_nothing" else {"output": volume.with_voxels(volume.voxels + 1)}
        return TaskResult(outputs, {"seed": parameters.seed}, {"pid": os.getpid(), **measured})

    def add_one(self):
        pass

    def give_nothing(self):
        pass

    def report_steps(self):
        for step in range(20):
            time.sleep(self.parameters.seconds / 20)
            self.progress((step + 1) / 20, f"Tile {step + 1} of 20")

    def sleep(self):
        self.progress(0.25, "One long tile")
        time.sleep(self.parameters.seconds)

    def sleep_holding_pythons_lock(self):
        self.progress(0.25, "A library that lets no other thread run")
        ctypes.PyDLL(None).sleep(int(self.parameters.seconds))

    def multiply_matrices(self):
        import torch

        matrix = torch.ones(7000, 7000)
        self.progress(0.25, "One long operation")
        (matrix @ matrix @ matrix).sum()

    def start_process(self):
        process = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(60)"])
        self.progress(0.5, str(process.pid))
        time.sleep(self.parameters.seconds)

    def abort(self):
        sys.stderr.write("about to abort\n")
        os.abort()

    def exit(self):
        sys.stderr.write("last words\n")
        os._exit(int(self.parameters.text))

    def want_numpy_memory(self):
        np.zeros(10**15)

    def want_torch_memory(self):
        import torch

        torch.zeros(10**15)

    def meet_file_size_limit(self):
        resource.setrlimit(resource.RLIMIT_FSIZE, (4096, resource.RLIM_INFINITY))

    def fill_disk(self):
        """Leave no room in the folder that holds the job folder."""
        with (Path(self.parameters.text) / "filling").open("wb") as file:
            file.write(bytes(900 * 1024))

    def import_torch(self):
        import torch

        return {"torch": torch.__version__}

    def raise_error(self):
        kinds = {**vars(errors), "ABadScan": ABadScan, "ValueError": ValueError}
        raise kinds[self.parameters.text]("Something is wrong: do something else.")

    def give_what_no_json_can_say(self):
        return {"what": object()}

    def print_everywhere(self):
        print("from print, ünïcödé")  # noqa: T201
        os.write(1, b"from descriptor 1\n")
        os.write(2, b"bytes that are no UTF-8: \xff\xfe\n")
        subprocess.run(["echo", "from another process"], check=True)
        os.write(1, b'{"type": "result", "job": 1}\n')

    def print_much(self):
        for line in range(200_000):
            sys.stderr.write(f"line {line}\n")
        os.write(2, b"x" * 10**7 + b"\nthe end\n")

    def read_standard_input(self):
        return {"read": os.read(0, 100).decode()}

    def tell_environment(self):
        return {"utf8": sys.flags.utf8_mode, "variable": os.environ.get(self.parameters.text), "path": sys.path}


TASK = BehaviourTask()
