"""The asyncio driver: the same machine, without blocking the event loop.

Requests go to the store from worker threads; pauses are the loop's own. Cancelling the task abandons the
commit as a crash would: it may be in the log, and `Table.resolve` tells.
"""

from atomic_manifest.commit.driver import Report, moment, perform
from atomic_manifest.commit.intent import Intent
from atomic_manifest.commit.messages import Budget, Event, Wait, Waited
from atomic_manifest.commit.progress import Memory
from atomic_manifest.commit.protocol import CommitMachine
from atomic_manifest.env import AsyncEnv
from atomic_manifest.store import driver as store_driver
from atomic_manifest.threads import from_loop


async def run(
    intent: Intent,
    store: store_driver.Driver,
    env: AsyncEnv,
    budget: Budget,
    memory: Memory | None = None,
) -> Report:
    """Drive `intent` to an outcome; see `commit.driver.run`.

    Args:
        intent: The commit.
        store: Where the table is; one attempt per request, no retries of its own.
        env: Clock, randomness and an asynchronous sleep.
        budget: Bounds on attempts and time.
        memory: What the writer remembers of its last commit.
    """
    machine = CommitMachine(intent, budget, moment(env), memory)
    while (request := machine.request) is not None:
        if isinstance(request, Wait):
            await env.sleep_async(request.seconds)
            event: Event = Waited()
        else:
            event = await from_loop(perform, request, store)
        machine.handle(event, moment(env))
    return Report.of(machine)
