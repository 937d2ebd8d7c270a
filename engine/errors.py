"""The two ways a command can end badly, each one sentence that says what to do."""


class UserError(Exception):
    """A mistake in what was asked for: a key, a file, a name. Exit code 2; nothing was started."""


class RunFailed(Exception):
    """Work that was rightly asked for and could not be done. Exit code 1; the log has the details."""
