"""Finds and rewrites the sites of text rules in the generated code of one kernel."""

from __future__ import annotations

import re
from collections.abc import Sequence

from tvm_mutate.mutant import TextRule
from tvm_mutate.passes.generated_code import Span
from tvm_mutate.passes.selection import Site, Tally, shortened


def rewrite_kernel_text(parts: Sequence[str], tallies: Sequence[Tally]) -> list[str]:
    """The parts of a kernel's code with the selected sites of every tally rewritten.

    Tallies count what was found and done, from the first part to the last. Sites are decided on, and numbered in, the
    original text. Where several mutations of a mutant have the same site, each is applied to what the one before has
    made of it; of sites that overlap otherwise the first mutation's is rewritten.
    """
    return [_rewritten(part, tallies) for part in parts]


def _rewritten(part: str, tallies: Sequence[Tally]) -> str:
    edits: dict[Span, str] = {}
    for tally in tallies:
        earlier = dict(edits)
        for match in _rule(tally).pattern.finditer(part):
            _offer(match, tally, earlier, edits)
    for (start, end), text in sorted(edits.items(), reverse=True):
        part = part[:start] + text + part[end:]
    return part


def _offer(match: re.Match[str], tally: Tally, earlier: dict[Span, str], edits: dict[Span, str]) -> None:
    """Counts a match that is a site, and adds its rewriting to the edits where it is selected."""
    candidate = _candidate(match, tally)
    if candidate is None:
        return
    ordinal = tally.found
    tally.found += 1
    if tally.descriptions is not None:
        before, after = (shortened(" / ".join(map(str.strip, text.splitlines()))) for text in (match[0], candidate))
        tally.descriptions.append(Site(tally.function, ordinal, before, after))
    if ordinal not in tally.selection.mutation.sites:
        return
    span = match.span()
    if span in earlier:
        candidate = _candidate_again(match, earlier[span], tally)
    elif any(start < span[1] and span[0] < end for start, end in earlier):
        candidate = None
    if candidate is not None:
        edits[span] = candidate
        tally.applied.append(ordinal)


def _candidate_again(match: re.Match[str], text: str, tally: Tally) -> str | None:
    """The rewriting of what an earlier mutation has made of a match."""
    start, end = match.span()
    again = _rule(tally).pattern.match(match.string[:start] + text + match.string[end:], start)
    return None if again is None or again.end() != start + len(text) else _candidate(again, tally)


def _candidate(match: re.Match[str], tally: Tally) -> str | None:
    text = _rule(tally).rewrite(match, tally.selection.parameters)
    return None if text == match[0] else text


def _rule(tally: Tally) -> TextRule:
    rule = tally.selection.operator.rule
    assert isinstance(rule, TextRule)
    return rule
