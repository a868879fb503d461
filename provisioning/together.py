"""Tasks side by side."""

import threading
from collections.abc import Callable, Sequence


def run_together(tasks: Sequence[Callable[[], None]]) -> None:
    """Run the tasks side by side; once all have ended, raise the error of the first in the list that failed.

    Their threads are daemons: those of a ThreadPoolExecutor would hold up the end of the process for minutes.
    """
    errors: list[Exception | None] = [None] * len(tasks)

    def run(number: int) -> None:
        try:
            tasks[number]()
        except Exception as error:  # noqa: BLE001 - raised again in the caller's thread
            errors[number] = error

    threads = [threading.Thread(target=run, args=(number,), daemon=True) for number in range(len(tasks))]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    for error in errors:
        if error:
            raise error
