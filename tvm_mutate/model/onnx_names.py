"""Gives an ONNX model names that every code generator accepts."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping

import onnx

_IDENTIFIER = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
_RESERVED_WORDS = """
    auto bool break case char const constant continue default device do double else enum extern float for global
    goto half if inline int kernel local long main private register return short signed sizeof static struct switch
    this typedef uint union unsigned void volatile while
"""
_RESERVED = frozenset(_RESERVED_WORDS.split())


def clean_names(names: Iterable[str]) -> dict[str, str]:
    """New names for names, injectively: each an ASCII identifier that no C dialect reserves.

    A name that is one already stays as it is. Others get ``_`` for each character that is not allowed, and a
    number where that would collide. The empty name is ONNX's word for "absent" and is left out.
    """
    distinct = [name for name in dict.fromkeys(names) if name]
    renamed = {name: name for name in distinct if _IDENTIFIER.fullmatch(name) and name not in _RESERVED}
    taken = set(renamed)
    for name in distinct:
        if name not in renamed:
            renamed[name] = _fresh(re.sub(r"[^A-Za-z0-9_]", "_", name), taken)
            taken.add(renamed[name])
    return renamed


def with_clean_names(model: onnx.ModelProto) -> tuple[onnx.ModelProto, dict[str, str], dict[str, str]]:
    """A copy of the model with clean names, and the new name of each value and of each node.

    Values are inputs, outputs, initialisers and everything between them, those of subgraphs included.
    """
    copy = onnx.ModelProto()
    copy.CopyFrom(model)
    graphs = list(_graphs(copy.graph))
    values = clean_names(name for graph in graphs for name in _value_names(graph))
    nodes = clean_names(node.name for graph in graphs for node in graph.node)
    for graph in graphs:
        _rename(graph, values, nodes)
    return copy, values, nodes


def _fresh(name: str, taken: set[str]) -> str:
    base = name if re.match(r"[A-Za-z_]", name) else f"_{name}"
    candidate, number = base, 0
    while candidate in taken or candidate in _RESERVED:
        number += 1
        candidate = f"{base}_{number}"
    return candidate


def _graphs(graph: onnx.GraphProto) -> Iterator[onnx.GraphProto]:
    yield graph
    for node in graph.node:
        for attribute in node.attribute:
            for subgraph in [attribute.g, *attribute.graphs] if attribute.HasField("g") else attribute.graphs:
                yield from _graphs(subgraph)


def _value_names(graph: onnx.GraphProto) -> Iterator[str]:
    for value in [*graph.input, *graph.output, *graph.initializer, *graph.value_info]:
        yield value.name
    for sparse in graph.sparse_initializer:
        yield sparse.values.name
    for node in graph.node:
        yield from node.input
        yield from node.output


def _rename(graph: onnx.GraphProto, values: Mapping[str, str], nodes: Mapping[str, str]) -> None:
    for value in [*graph.input, *graph.output, *graph.initializer, *graph.value_info]:
        value.name = values.get(value.name, "")
    for sparse in graph.sparse_initializer:
        sparse.values.name = values.get(sparse.values.name, "")
    for annotation in graph.quantization_annotation:
        annotation.tensor_name = values.get(annotation.tensor_name, annotation.tensor_name)
    for node in graph.node:
        node.name = nodes.get(node.name, "")
        node.input[:] = [values.get(name, "") for name in node.input]
        node.output[:] = [values.get(name, "") for name in node.output]
