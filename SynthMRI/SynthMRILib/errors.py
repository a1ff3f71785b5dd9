"""Every error a person can meet, each with one clear sentence: what is wrong and what to do about it."""


class SynthMRIError(Exception):
    """Base of all errors whose text is meant for the user as it stands."""

    exit_code = 2
    #: Code of the finding that was raised, see `findings.Finding`; "" for an error that was none.
    code = ""


class InputError(SynthMRIError):
    """An input (file, volume, parameter) cannot be used as it is."""


class BundleError(InputError):
    """A bundle is missing, altered, of another task, from a newer version, or unsafe."""


class ResourceError(SynthMRIError):
    """The machine cannot do it: device, memory or disk space is missing."""


class JobError(SynthMRIError):
    """The child process failed: it crashed, was killed, or ran out of memory."""


class Cancelled(SynthMRIError):
    """The user asked to stop; nothing was changed."""
