// Calls one kernel on buffers of exactly their size, so that AddressSanitizer sees whatever lies outside them.
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <tvm/ffi/c_api.h>

enum { MOST_ARGUMENTS = 64, MOST_DIMENSIONS = 16, ALIGNMENT = 64, CPU = 1 };

typedef int32_t (*Kernel)(void *, const TVMFFIAny *, int32_t, TVMFFIAny *);
#define KERNEL(symbol, name) int32_t symbol(void *, const TVMFFIAny *, int32_t, TVMFFIAny *);
#include "entries.h"
#undef KERNEL

static const struct {
  const char *name;
  Kernel call;
} kernels[] = {
#define KERNEL(symbol, name) {#name, symbol},
#include "entries.h"
#undef KERNEL
};

// Instead of TVM's pool, whose pages are larger than what is asked for.
void *TVMBackendAllocWorkspace(int type, int id, uint64_t bytes, int code, int bits) {
  void *memory = NULL;
  return posix_memalign(&memory, ALIGNMENT, bytes) == 0 ? memory : NULL;
}

int TVMBackendFreeWorkspace(int type, int id, void *memory) {
  free(memory);
  return 0;
}

static void fail(const char *what) {
  fprintf(stderr, "%s\n", what);
  exit(2);
}

static void read_whole(const char *path, void *memory, size_t bytes) {
  FILE *file = fopen(path, "rb");
  if (file == NULL || fread(memory, 1, bytes, file) != bytes) fail("an argument cannot be read");
  fclose(file);
}

int main(int count, char **arguments) {
  static DLTensor tensors[MOST_ARGUMENTS];
  static TVMFFIAny values[MOST_ARGUMENTS];
  static int64_t shapes[MOST_ARGUMENTS][MOST_DIMENSIONS];
  char name[1024], path[1024];
  int given = 0;
  FILE *calls = count == 2 ? fopen(arguments[1], "r") : NULL;
  if (calls == NULL || fscanf(calls, "%1023s %d", name, &given) != 2 || given > MOST_ARGUMENTS) fail("no call");
  for (int i = 0; i < given; ++i) {
    int code, bits, dimensions;
    if (fscanf(calls, "%d %d %d", &code, &bits, &dimensions) != 3 || dimensions > MOST_DIMENSIONS) fail("no argument");
    size_t bytes = bits / 8;
    for (int d = 0; d < dimensions; ++d) {
      if (fscanf(calls, "%lld", (long long *)&shapes[i][d]) != 1) fail("no shape");
      bytes *= shapes[i][d];
    }
    if (fscanf(calls, "%1023s", path) != 1) fail("no path");
    if (posix_memalign(&tensors[i].data, ALIGNMENT, bytes) != 0) fail("no memory");
    if (strcmp(path, "-") == 0) {
      memset(tensors[i].data, 0, bytes);
    } else {
      read_whole(path, tensors[i].data, bytes);
    }
    tensors[i].device.device_type = CPU;
    tensors[i].ndim = dimensions;
    tensors[i].dtype.code = code;
    tensors[i].dtype.bits = bits;
    tensors[i].dtype.lanes = 1;
    tensors[i].shape = shapes[i];
    values[i].type_index = kTVMFFIDLTensorPtr;
    values[i].v_ptr = &tensors[i];
  }
  fclose(calls);
  for (size_t k = 0; k < sizeof(kernels) / sizeof(kernels[0]); ++k) {
    if (strcmp(kernels[k].name, name) == 0) {
      TVMFFIAny result = {0};
      return kernels[k].call(NULL, values, given, &result) == 0 ? 0 : 3;
    }
  }
  fail("no such kernel");
}
