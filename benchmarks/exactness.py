"""Content-addressed evaluation against rebuilding everything: every mutant has to give the same output bits.

Run from the repository's root; images of a model that is not of the zoo stand behind its name:
`python benchmarks/exactness.py zoo://resnet mobilenetv2.onnx=images/ --sample 300 --inputs 10`.
With --keep, the same command goes on where it was. The exit code is 1 if any defined mutant differs.
"""

from __future__ import annotations

import shlex
from dataclasses import asdict
from pathlib import Path
from typing import Any

import click
from measuring.campaigns import Subject, run_campaign, workplace
from measuring.comparison import Exactness, exactness
from measuring.output import begin, campaign_options, end, listed, say, table

HEAD = (
    "model", "mutants", "by content", "compared", "differ", "undefined", "of these agree", "rebuilt", "these differ",
    "verdicts differ", "outcomes differ",
)  # fmt: skip


def compared(subject: Subject, arguments: list[str], folder: Path) -> Exactness:
    """The same campaign both ways."""
    fast = run_campaign(arguments, folder / f"exactness-{subject.name}-content", resume=True)
    rebuilt = run_campaign([*arguments, "--rebuild"], folder / f"exactness-{subject.name}-rebuild", resume=True)
    return exactness(fast.results, rebuilt.results)


def figures(model: str, found: Exactness) -> list[object]:
    """The row of one model under HEAD."""
    rebuilt = sum(found.fell_to_rebuild.values())
    return [
        model, found.by_content + rebuilt, found.by_content, found.compared, len(found.different), found.undefined,
        found.undefined - len(found.undefined_different), rebuilt, len(found.rebuilt_different), len(found.verdicts),
        len(found.outcomes),
    ]  # fmt: skip


def tell(model: str, found: Exactness) -> None:
    """Prints what a user would look at next: which mutants differ, and why some were rebuilt."""
    reasons = sorted(found.fell_to_rebuild.items(), key=lambda item: -item[1])
    say(
        f"\n{model}",
        listed("differ although defined", found.different),
        listed("differ, and are named undefined", found.undefined_different),
        listed("differ between two rebuilds", found.rebuilt_different),
        listed("verdicts, by content -> rebuilt", found.verdicts),
        listed("outcomes, by content -> rebuilt", found.outcomes),
        listed("in one campaign only", found.missing),
        listed("rebuilt because", [f"{count} x {reason}" for reason, count in reasons]),
    )


@click.command()
@click.argument("models", nargs=-1, required=True)
@click.option("--sample", default=300, show_default=True, help="Mutants of single sites a model.")
@click.option("--workers", default=0, help="Worker processes. Default: one a core.")
@campaign_options(inputs=10)
@click.pass_context
def main(context: click.Context, models: tuple[str, ...], sample: int, workers: int, **options: Any) -> None:
    """Evaluates the mutants of MODELS by content and by rebuilding everything, and compares their output bits."""
    report = begin("exactness")
    found: dict[str, Exactness] = {}
    with workplace(options["keep"]) as folder:
        for text in models:
            subject = Subject.parse(text)
            arguments = [*subject.arguments(options["inputs"]), "--target", options["target"]]
            arguments += ["--sites", f"sample:{sample}", "--seed", str(options["seed"]), "--workers", str(workers)]
            found[subject.model] = compared(subject, [*arguments, *shlex.split(options["more"])], folder)
            tell(subject.name, found[subject.model])
    say("", table(HEAD, [figures(Subject(model).name, each) for model, each in found.items()]))
    report["models"] = {model: asdict(each) for model, each in found.items()}
    end(report, options["json_file"])
    context.exit(int(any(each.different or each.missing for each in found.values())))


if __name__ == "__main__":
    main()
