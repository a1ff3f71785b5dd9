"""What a check found, in words a person can act on."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Literal

from .errors import InputError

Severity = Literal["error", "warning", "info"]


@dataclass(frozen=True)
class Finding:
    """One observation about the inputs of a task.

    Args:
        severity: "error" stops the run, "warning" lets it go on, "info" only tells.
        code: stable identifier for programs, e.g. "volume-constant".
        message: one sentence for a person: what is wrong and what to do.
    """

    severity: Severity
    code: str
    message: str

    def as_dict(self) -> dict[str, str]:
        return {"severity": self.severity, "code": self.code, "message": self.message}


def raise_on_error(findings: Iterable[Finding]) -> list[Finding]:
    """Return the findings, or raise InputError with the first error among them."""
    findings = list(findings)
    for finding in findings:
        if finding.severity == "error":
            error = InputError(finding.message)
            error.code = finding.code
            raise error
    return findings
