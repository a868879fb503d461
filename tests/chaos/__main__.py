"""`python -m tests.chaos COUNT [SEED]`: the exit code is 0 only if nothing was lost, doubled, or late."""

import argparse
import secrets
import sys

from tests.chaos.run import Run, table
from tests.chaos.world import World
from tests.e2e.deployment import Deployment


def main() -> int:
    """Run, print the table, and return the exit code."""
    asked = _read_arguments()
    count, seed = asked.count, asked.seed
    say(f"{count} faults with the seed {seed}; the same again: ./run-tests.sh chaos {count} {seed}")
    deployment = Deployment()
    try:
        deployment.up()
        return _run(World(deployment, seed), count)
    finally:
        deployment.close()


def _run(world: World, count: int) -> int:
    run = Run(world, say)
    wrong = []
    with world:
        try:
            run.go(count)
            run.rest()
        except AssertionError as error:
            wrong.append(f"The run cannot go on: {error}")
        sent = sum(player.sent for player in world.players)
    wrong += [f"{outcome.fault}: {outcome.wrong}" for outcome in run.outcomes if outcome.wrong]
    say(f"{table(run.outcomes)}\n{sent} packets were sent.")
    say("\n".join(wrong) or "Nothing was lost, nothing doubled, nothing late.")
    return 1 if wrong else 0


def _read_arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m tests.chaos", description=__doc__)
    parser.add_argument("count", type=int, help="how many faults")
    parser.add_argument("seed", type=int, nargs="?", default=secrets.randbelow(10**6), help="repeats an earlier run")
    return parser.parse_args()


def say(line: str) -> None:
    """Print a line at once: a run takes long."""
    print(line, flush=True)  # noqa: T201 - what it is for


if __name__ == "__main__":
    sys.exit(main())
