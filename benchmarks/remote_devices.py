"""A campaign over TVM's RPC with a crashing and a hanging mutant, its server killed in the middle and started again.

Run from the repository's root, with the requirements of `.[rpc]`:
`python benchmarks/remote_devices.py zoo://alexnet --mutants 50`; with `--emulated` on aarch64 under qemu
(`python -m tvm_mutate.server.emulation set-up`). The exit code is 1 if a verdict differs from that of a campaign that
nobody disturbed, if a hostile mutant has another outcome than its own, or if the server was not killed in a session.
Other differences are listed: what a mutant reads outside its buffers is another thing in every process.
"""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Iterator

import click
from hostility import hostile_mutants, installed, kind_of, wrongly_attributed
from measuring.boards import Board, board_device
from measuring.campaigns import Subject, chosen, list_mutants, run_campaign, workplace
from measuring.comparison import MISSING, row_differences
from measuring.output import begin, campaign_options, end, listed, say, table

from tvm_mutate.server.emulation import TARGET


@contextlib.contextmanager
def disturbed(board: Board, session: int) -> Iterator[None]:
    """A time in which the board is killed in one of its sessions."""
    stopped = threading.Event()
    thread = threading.Thread(target=board.kill_in_session, args=(session, stopped))
    thread.start()
    try:
        yield
    finally:
        stopped.set()
        thread.join()


@click.command()
@click.argument("model", default="zoo://alexnet")
@click.option("--mutants", "total", default=50, show_default=True, help="So many in all.")
@click.option("--session", default=25, show_default=True, help="The server is killed in its session of this number.")
@click.option("--emulated", is_flag=True, help="On aarch64 under qemu.")
@click.option("--timeout", default=5.0, show_default=True, help="The least time limit of a mutant in seconds.")
@click.option("--workers", default=1, show_default=True, help="Worker processes.")
@campaign_options(inputs=5)
@click.pass_context
def main(
    context: click.Context, model: str, total: int, session: int, emulated: bool, timeout: float, **options: object
) -> None:
    """Runs a campaign on MODEL undisturbed, and one whose server is killed in the middle, and compares the rows."""
    report = begin("remote devices")
    subject, seeded = Subject.parse(model), ["--seed", str(options["seed"])]
    device = board_device(TARGET if emulated else str(options["target"]))
    with workplace(options["keep"]) as folder:
        more = installed(folder / "package")
        hostile = hostile_mutants(subject.model, {"crash": 1, "hang": 1}, more, seeded)
        mutants = list_mutants(subject.model, "--sites", f"sample:{total - len(hostile)}", *seeded)
        mutants[total // 2 : total // 2] = hostile
        arguments = [*subject.arguments(options["inputs"]), "--device", device, "--timeout", str(timeout)]
        arguments += ["--workers", str(options["workers"]), *chosen(mutants)]
        board = Board(emulated)
        try:
            calm = run_campaign(arguments, folder / "calm", more=more)
            with disturbed(board, session):
                shaken = run_campaign(arguments, folder / "shaken", more=more)
        finally:
            board.close()
    wrong = wrongly_attributed(shaken.rows, calm.results)
    found = row_differences(calm.results, shaken.results)
    differ = [str(each) for each in found]
    verdicts = [each for each in found if {"verdict", "outcome"} & set(each.fields) or MISSING in each.fields]
    lost = sum(row["outcome"] == "device lost" for row in shaken.rows)
    baseline = calm.results["baselines"][0]
    head = (
        "model",
        "mutants",
        "hostile",
        "wrong",
        "lost",
        "differ",
        "killed",
        "calm s",
        "shaken s",
        "build s",
        "run s",
    )
    row = (subject.name, len(shaken.rows), sum(bool(kind_of(each["id"])) for each in shaken.rows), len(wrong), lost,
           len(differ), board.kills, calm.mutants_seconds, shaken.mutants_seconds, baseline["build_seconds"],
           baseline["run_seconds"])  # fmt: skip
    say(table(head, [row]), listed("wrongly attributed", wrong), listed("rows that differ", differ))
    end({**report, **dict(zip(head, row, strict=True)), "wrong": wrong, "rows": differ}, options["json_file"])
    context.exit(int(bool(wrong or verdicts or lost or board.kills != 1 or len(shaken.rows) != len(mutants))))


if __name__ == "__main__":
    main()
