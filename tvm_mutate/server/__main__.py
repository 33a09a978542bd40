"""``python -m tvm_mutate.server``: serves this machine as a device."""

from tvm_mutate.server.serving import main

if __name__ == "__main__":
    main()
