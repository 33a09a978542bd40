"""The optional native library: where it is, whether it fits, and why it is not there otherwise."""

from tvm_mutate.native.library import LIBRARY_NAME, NativeLibrary, load_library, native_library

__all__ = ["LIBRARY_NAME", "NativeLibrary", "load_library", "native_library"]
