"""Only what changed: mutants in functions that an earlier campaign or a revision of git has as well are left out."""

from __future__ import annotations

import importlib
import os
import subprocess
import sys
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from tvm_mutate.campaign.function_digests import FunctionDigests
from tvm_mutate.campaign.plan import Subject
from tvm_mutate.campaign.survey import Survey
from tvm_mutate.device import Device
from tvm_mutate.errors import MutateError, UsageError, line_of
from tvm_mutate.forked import call_in_child
from tvm_mutate.kernels import parse_target
from tvm_mutate.model import load_model
from tvm_mutate.mutant import Catalogue, Mutant
from tvm_mutate.pipeline import Stages
from tvm_mutate.python_file import function_reference
from tvm_mutate.results import environment, read_json

_SHOWN = 8
_OF_A_HOOK = ("GIT_DIR", "GIT_WORK_TREE", "GIT_INDEX_FILE", "GIT_PREFIX")


class Since:
    """An earlier state of models, by which the mutants in unchanged functions are known; ``name`` is for messages."""

    name: str

    def changed(self, survey: Survey, subject: Subject, device: Device, catalogue: Catalogue) -> Survey:
        """The survey without the mutants in unchanged functions; ``survey.since`` then says what is left out."""
        try:
            places, why = self._places(survey, subject, device, catalogue), ""
        except _NothingToCompareError as error:
            places, why = frozenset(), f"{error}, so everything is new: "
        left_out = {mutant for mutant in survey.mutants if survey.places[mutant] in places}
        kept = tuple(mutant for mutant in survey.mutants if mutant not in left_out)
        same, new = _functions(left_out), _functions(kept)
        said = f"{why}{len(kept)} mutants are in functions that differ{_listed(new)}"
        if left_out:
            said += f"; {len(left_out)} are left out, in unchanged functions{_listed(same)}"
        return replace(survey, mutants=kept, since=f"since {self.name}, {said}")

    def _places(self, survey: Survey, subject: Subject, device: Device, catalogue: Catalogue) -> frozenset[str]:
        """The digests of the functions that mutants changed then."""
        raise NotImplementedError


class _NothingToCompareError(Exception):
    """Says why the earlier state cannot be compared."""


@dataclass(frozen=True)
class SinceResults(Since):
    """The functions that an earlier campaign had mutants of; ``places`` are by model and target."""

    name: str
    places: dict[tuple[str, str], frozenset[str]]
    version: str | None

    @classmethod
    def read(cls, path: Path) -> SinceResults:
        """The earlier campaign in a ``results.json`` or its folder; raises UsageError if it cannot be read."""
        results = read_json(path)
        targets = {row.name: row.target for row in results.devices}
        places: dict[tuple[str, str], set[str]] = {}
        for row in results.mutants:
            if row.place_digest is not None:
                places.setdefault((row.model, targets.get(row.device, "")), set()).add(row.place_digest)
        frozen = {key: frozenset(digests) for key, digests in places.items()}
        return cls(str(path), frozen, results.environment.versions.get("apache-tvm"))

    def _places(self, survey: Survey, subject: Subject, device: Device, catalogue: Catalogue) -> frozenset[str]:
        version = environment().versions.get("apache-tvm")
        if version != self.version:
            raise _NothingToCompareError(f"it had apache-tvm {self.version}, and this is {version}")
        return self.places.get((subject.name, device.target), frozenset())


@dataclass(frozen=True)
class SinceRevision(Since):
    """The functions at a revision of git; ``trees`` pairs each working tree with a copy of its files then."""

    name: str
    trees: tuple[tuple[str, str], ...]

    @classmethod
    def check_out(cls, revision: str, files: Iterable[str], folder: Path) -> SinceRevision:
        """Copies the repositories of the files as of the revision into the folder; the repositories stay as they are.

        ``files`` are references of models and pipelines; those outside of repositories do not change. Raises UsageError
        if no file is in a repository, or if a repository lacks the revision.
        """
        paths = [function_reference(each)[0] for each in files if each and "://" not in each]
        roots = dict.fromkeys(root for path in paths if (root := _root(path)) is not None)
        if not roots:
            named = ", ".join(map(str, dict.fromkeys(paths))) or "there are no files"
            raise UsageError(f"--since-git {revision}: no file of model and pipelines is in a git repository ({named})")
        trees = []
        for number, root in enumerate(roots):
            asked = _git(root, "rev-parse", "--verify", "--quiet", "--end-of-options", f"{revision}^{{commit}}")
            if asked.returncode:
                raise UsageError(f"--since-git {revision}: {root} has no such revision; name a commit, branch or tag")
            copy = folder / f"since-{number}"
            index = {"GIT_INDEX_FILE": str(folder / f"since-{number}.index")}
            steps = (["read-tree", asked.stdout.strip()], ["checkout-index", "--all", f"--prefix={copy}/"])
            for step in steps:
                if (ended := _git(root, *step, **index)).returncode:
                    raise UsageError(f"--since-git {revision}: {_said(ended)}")
            trees.append((root, str(copy)))
        return cls(revision, tuple(trees))

    def _places(self, survey: Survey, subject: Subject, device: Device, catalogue: Catalogue) -> frozenset[str]:
        reference = self._then(subject.reference)
        relax, tir = self._then(device.flow.relax_pipeline), self._then(device.flow.tir_pipeline)

        def places() -> frozenset[str]:
            self._import_then()
            # Another digest: pipelines are registered under it, and the files may import other modules than now.
            digest = f"then{device.flow.digest}" if device.flow.digest else ""
            flow = replace(device.flow, relax_pipeline=relax, tir_pipeline=tir, digest=digest)
            model = load_model(reference, shape=dict(subject.shape) or None, scenario=subject.scenario)
            functions = FunctionDigests(Stages(model.module, parse_target(device.target), flow), catalogue)
            return frozenset(functions.digest(catalogue.parse(mutant)) for mutant in survey.mutants)

        try:
            return call_in_child(places)  # modules that the files import then stay out of this process
        except Exception as error:
            said = str(error) if isinstance(error, MutateError) else line_of(error)
            raise _NothingToCompareError(f"the files then cannot be used ({self._as_now(said)})") from None

    def _then(self, reference: str) -> str:
        """The reference of the same file in the copy; a file outside of the repositories is the same."""
        if not reference or "://" in reference:
            return reference
        path, function = function_reference(reference)
        then = self._copy_of(path)
        if then is None:
            if any(path.resolve().is_relative_to(tree) for tree, _ in self.trees):
                raise _NothingToCompareError(f"{path} is not in that revision")
            return reference
        return f"{then}:{function}" if function else str(then)

    def _import_then(self) -> None:
        """Makes this process import modules from the copies in place of the working trees."""
        for name, module in list(sys.modules.items()):
            file = getattr(module, "__file__", None)
            if file and name.partition(".")[0] != "tvm_mutate" and self._copy_of(Path(file)):
                del sys.modules[name]
        copies = [self._copy_of(Path(each or os.curdir)) for each in sys.path]
        sys.path[:0] = [str(each) for each in copies if each]
        importlib.invalidate_caches()

    def _copy_of(self, path: Path) -> Path | None:
        """The file or folder in a copy; None if it was not there, or is outside of the repositories."""
        path = path.resolve()
        copies = (Path(copy) / path.relative_to(tree) for tree, copy in self.trees if path.is_relative_to(tree))
        return next(filter(Path.exists, copies), None)

    def _as_now(self, text: str) -> str:
        for tree, copy in self.trees:
            text = text.replace(copy, tree)
        return text


def find_since(
    results: str | Path | None, revision: str | None, model: str, devices: Sequence[Device], folder: Path
) -> Since | None:
    """What ``--since`` or ``--since-git`` names, or None; ``folder`` gets copies of files. Raises UsageError."""
    if results is not None and revision is not None:
        raise UsageError("--since and --since-git both name an earlier state; give one of them")
    if results is not None:
        return SinceResults.read(Path(results))
    if revision is None:
        return None
    flows = [device.flow for device in devices]
    files = [model, *(each for flow in flows for each in (flow.relax_pipeline, flow.tir_pipeline))]
    return SinceRevision.check_out(revision, files, folder)


def _root(path: Path) -> str | None:
    """The working tree of the repository that holds the file; None if there is none."""
    asked = _git(str(path.resolve().parent), "rev-parse", "--show-toplevel")
    if asked.returncode and "not a git repository" not in asked.stderr:
        raise UsageError(f"--since-git: {_said(asked)}")
    return None if asked.returncode else str(Path(asked.stdout.strip()).resolve())


def _git(folder: str, *arguments: str, **variables: str) -> subprocess.CompletedProcess[str]:
    # A hook of git names its own repository in variables.
    inherited = {key: value for key, value in os.environ.items() if key not in _OF_A_HOOK}
    try:
        return subprocess.run(
            ["git", "-C", folder, *arguments],
            capture_output=True,
            text=True,
            check=False,
            env={**inherited, "LC_ALL": "C", **variables},
        )
    except OSError:
        raise UsageError("--since-git needs git, which is not installed") from None


def _said(ended: subprocess.CompletedProcess[str]) -> str:
    return (ended.stderr.strip().splitlines() or [f"git ended with {ended.returncode}"])[0]


def _functions(mutants: Iterable[str]) -> list[str]:
    names = {mutation.function for mutant in mutants for mutation in Mutant.parse(mutant).mutations}
    return sorted("all functions" if name == "*" else name for name in names)


def _listed(names: Sequence[str]) -> str:
    if not names:
        return ""
    more = f" and {len(names) - _SHOWN} more" if len(names) > _SHOWN else ""
    return f": {', '.join(names[:_SHOWN])}{more}"
