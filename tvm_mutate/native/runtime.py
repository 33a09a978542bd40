"""What mutated kernels ask at run time: which site is active, and how often each was reached. Of this process."""

from __future__ import annotations

from tvm_mutate.errors import UsageError
from tvm_mutate.native.library import native_library

# The number that is active while no site is.
NO_SITE = 0


def require_runtime() -> None:
    """Loads the run-time support of mutated kernels; raises UsageError that says why it is not there."""
    library = native_library()
    if not library:
        raise UsageError(f"this fault calls the run-time support of mutated kernels, and {library.obstacle}")


def activate_site(number: int) -> None:
    """Makes the site with this number the active one; 0 for none. Raises ValueError for a number that no site has."""
    native_library().function("activate_site")(number)


def active_site() -> int:
    """The number of the active site, 0 while none is."""
    return int(native_library().function("active_site")())


def most_sites() -> int:
    """The highest number that a site can have."""
    return int(native_library().function("most_sites")())


def reach_count(number: int) -> int:
    """How often kernels that count have reached the site since the counts were reset; raises ValueError as above."""
    return int(native_library().function("reach_count")(number))


def reset_reach_counts() -> None:
    """Sets all counts to zero."""
    native_library().function("reset_reach_counts")()
