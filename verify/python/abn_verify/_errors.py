"""What this package raises for what its user can mend."""


class UsageError(ValueError):
    """A command, an argument or a file is wrong; the text is a sentence that says what to do."""
