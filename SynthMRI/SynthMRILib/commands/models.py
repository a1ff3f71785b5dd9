"""`synthmri models`: what bundles are installed, their cards, and adding or deleting one."""

from __future__ import annotations

import argparse
import sys

from ..bundle_store import add_bundle, bundle_to_delete, delete_bundle
from ..bundles import find_bundles, load_bundle
from ..errors import InputError
from .common import print_json


def add_parser(subparsers: argparse._SubParsersAction) -> None:
    parser = subparsers.add_parser("models", help="list, show, add or delete bundles")
    parser.add_argument("action", nargs="?", choices=["list", "card", "check", "add", "delete"], default="list")
    parser.add_argument("bundle", nargs="?", help="name or folder of a bundle; for add also a ZIP archive")
    parser.add_argument("--json", action="store_true", help="print the list as JSON")
    parser.set_defaults(run=run_models)


def run_models(arguments: argparse.Namespace) -> int:
    if arguments.action == "list":
        return list_bundles(as_json=arguments.json)
    if not arguments.bundle:
        raise InputError(f"'synthmri models {arguments.action}' needs the name or folder of a bundle.")
    if arguments.action == "add":
        sys.stdout.write(f"{add_bundle(arguments.bundle).name} was added.\n")
        return 0
    bundle = (bundle_to_delete if arguments.action == "delete" else load_bundle)(arguments.bundle)
    if arguments.action == "card":
        sys.stdout.write(bundle.card_path.read_text(encoding="utf-8"))
    elif arguments.action == "check":
        bundle.read_weights()
        sys.stdout.write(f"{bundle.name}: the weights are those the metadata names ({bundle.weights_sha256}).\n")
    else:
        delete_bundle(bundle)
        sys.stdout.write(f"{bundle.name} was deleted.\n")
    return 0


def list_bundles(*, as_json: bool) -> int:
    bundles = find_bundles()
    if as_json:
        rows = [{"name": b.name, "task": b.task, "version": b.version, "sha256": b.weights_sha256} for b in bundles]
        print_json({"bundles": rows})
    for bundle in [] if as_json else bundles:
        mark = " (experimental)" if bundle.experimental else ""
        sys.stdout.write(f"{bundle.name}  {bundle.task}  {bundle.title}{mark}\n")
    return 0
