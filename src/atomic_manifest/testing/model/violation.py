"""What is raised when something does not hold that must always hold."""


class Violation(AssertionError):
    """An invariant of the protocol was broken. Raised whether or not Python runs with `-O`."""
