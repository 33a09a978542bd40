"""The optional native library: where it is, whether it fits, and why it is not there otherwise; and its run time."""

from tvm_mutate.native.library import LIBRARY_NAME, NativeLibrary, load_library, native_library
from tvm_mutate.native.runtime import (
    NO_SITE,
    activate_site,
    active_site,
    most_sites,
    reach_count,
    require_runtime,
    reset_reach_counts,
)

__all__ = [
    "LIBRARY_NAME",
    "NO_SITE",
    "NativeLibrary",
    "activate_site",
    "active_site",
    "load_library",
    "most_sites",
    "native_library",
    "reach_count",
    "require_runtime",
    "reset_reach_counts",
]
