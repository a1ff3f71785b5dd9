"""The subcommands of `synthmri`, one file each.

A command module offers `add_parser(subparsers)`, which adds its parser(s) and sets their default `run` to a function
that takes the parsed arguments and returns the exit status.
"""

COMMAND_MODULES = (
    "enhance",
    "denoising",
    "synthetic_dir",
    "subtraction",
    "motion_correction",
    "evaluate",
    "simulate",
    "train",
    "pack_heads",
    "pack_examinations",
    "pack_training",
    "finetune",
    "models",
    "uncertainty",
    "batch",
    "readers",
    "demo",
)
