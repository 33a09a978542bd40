"""The pytest plugin; it imports TVM only if one of its options is given."""
