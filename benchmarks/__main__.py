"""`python -m benchmarks [NAME ...] [--json]`, the same as `spark-studio bench`."""

import sys

from app import app

if __name__ == "__main__":
    app(["bench", *sys.argv[1:]], prog_name="benchmarks")
