"""Starts the worker as it is, with one more task: "behaviour"."""

import sys

import behaviour
from SynthMRILib import tasks
from SynthMRILib.jobs import worker

tasks._MODULES["behaviour"] = "behaviour"
sys.modules["SynthMRILib.tasks.behaviour"] = behaviour
worker.main()
