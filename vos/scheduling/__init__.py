"""Many independent pieces of work: in this process, in several, or on a Ray cluster.

A job is a list of `Task` and something that opens a worker (loads a model, say) and then does task
after task. `run_tasks` gives every task to a worker, gives those of lost workers to others, and
names what failed; it knows nothing of videos. The three ways to run workers are pools: one seam,
so that a task is done by the same function wherever it is done.

Tasks must be idempotent: one may be begun, lost and begun again, or be done twice.
"""

from vos.scheduling.executors import LocalExecutor, choose_executor
from vos.scheduling.ray_pool import RayExecutor
from vos.scheduling.scheduler import Outcome, run_tasks
from vos.scheduling.tasks import Advance, Executor, OpenWorker, Task, Work

__all__ = [
    "Advance",
    "Executor",
    "LocalExecutor",
    "OpenWorker",
    "Outcome",
    "RayExecutor",
    "Task",
    "Work",
    "choose_executor",
    "run_tasks",
]
