"""The peak memory of a campaign's whole process tree beside the limit that it was given.

Run from the repository's root:
`python benchmarks/memory.py mobilenetv2.onnx=images/ --images 500 --mutants 200 --limit 4G`.
Memory is the sum of the proportional set sizes (which count shared pages once), or of the resident set sizes where
those cannot be read. Files in the temporary folder are on disk, unless that is a file system in memory.
"""

from __future__ import annotations

import re
import shlex
from typing import Any

import click
from measuring.campaigns import MUTANTS, Process, Subject, run_campaign, workplace
from measuring.output import begin, campaign_options, end, say, table
from measuring.processes import Marked, Sampler

_UNITS = {"": 1, "K": 2**10, "M": 2**20, "G": 2**30, "T": 2**40}
HEAD = ("model", "inputs", "golden kept", "mutants", "phase s", "peak MiB", "limit MiB", "% of it", "processes",
        "temporary files MiB", "samples")  # fmt: skip


def bytes_of(text: str) -> int:
    """The bytes that a text such as 4G, 512M or 1.5GiB stands for."""
    found = re.fullmatch(r"(\d+(?:\.\d+)?)\s*([KMGT]?)(?:i?B)?", text.strip(), re.IGNORECASE)
    if not found:
        raise click.BadParameter(f"{text!r} is not a size such as 4G")
    return int(float(found[1]) * _UNITS[found[2].upper()])


@click.command()
@click.argument("model")
@click.option("--mutants", "sample", default=200, show_default=True, help="Mutants of single sites.")
@click.option("--limit", help="Given to the campaign as --memory: 4G. Default: no such option is given.")
@click.option("--workers", default=0, help="Worker processes. Default: one a core.")
@campaign_options(inputs=500)
@click.pass_context
def main(context: click.Context, model: str, sample: int, limit: str | None, workers: int, **options: Any) -> None:
    """Samples the memory of a campaign on MODEL every 50 ms; the exit code is 1 if it was ever above the limit."""
    report = begin("memory")
    subject = Subject.parse(model)
    arguments = [*subject.arguments(options["inputs"]), "--target", options["target"], "--sites", f"sample:{sample}"]
    arguments += ["--seed", str(options["seed"]), "--workers", str(workers), *shlex.split(options["more"])]
    arguments += ["--memory", limit] if limit else []
    samplers: list[Sampler] = []
    with workplace(options["keep"]) as folder:
        marked = Marked(folder / "temporary")

        def started(process: Process) -> None:
            samplers.append(Sampler(process.pid, marked.folder))
            samplers[0].start()

        output = folder / f"memory-{subject.name}"
        finished = run_campaign(arguments, output, more=marked.environment, started=started)
        samplers[0].stop()
        marked.clear()
    sampler, most = samplers[0], bytes_of(limit) if limit else None
    kept = [baseline["golden"] for baseline in finished.results["baselines"]]
    row = (subject.name, options["inputs"], kept[0], len(finished.rows), finished.phases[MUTANTS], sampler.peak / 2**20,
           most and most / 2**20, most and 100 * sampler.peak / most, sampler.most_processes,
           sampler.most_files / 2**20, sampler.samples)  # fmt: skip
    say(table(HEAD, [row]))
    end({**report, **dict(zip(HEAD, row, strict=True))}, options["json_file"])
    context.exit(int(most is not None and sampler.peak > most))


if __name__ == "__main__":
    main()
