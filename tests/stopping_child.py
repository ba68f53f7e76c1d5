"""A child process that works until it is asked to stop and leaves a word, or is deaf to that."""

import os
import time
from pathlib import Path
from typing import Any

from backend.jobs.children import News, child_main, stop_requested

STEP_S = 0.01


def work(arguments: dict[str, Any], tell: News) -> None:
    stop = stop_requested()
    tell({"pid": os.getpid()})
    while arguments["deaf"] or not stop():
        time.sleep(STEP_S)
    Path(arguments["last_word"]).touch()


if __name__ == "__main__":
    child_main(work)
