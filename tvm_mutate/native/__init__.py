"""The optional native library: mutations as passes in C++, and the functions that mutated kernels call at run time."""

from tvm_mutate.native.library import LIBRARY_NAME, NativeLibrary, load_library, native_library, require_runtime
