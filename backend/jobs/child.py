"""Where every child process begins: it will die with its worker, before anything slow is imported.

python -m backend.jobs.child MODULE
"""

import gc
import runpy
import sys

from backend.jobs.children import die_with_parent

if __name__ == "__main__":
    die_with_parent()
    gc.disable()  # imports leave nothing to collect; `child_main` takes it up again
    runpy.run_module(sys.argv.pop(1), run_name="__main__", alter_sys=True)
