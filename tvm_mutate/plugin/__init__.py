"""The pytest plugin; nothing of it, nor of TVM, is imported before one of its options is given."""
