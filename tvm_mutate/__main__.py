"""``python -m tvm_mutate``: the ``tvm-mutate`` command."""

from tvm_mutate.cli import main

if __name__ == "__main__":
    main()
