"""``python -m tvm_mutate.bench``."""

from tvm_mutate.bench.command import main

if __name__ == "__main__":
    main()
