"""Imported by the process that test workers are forked from: what each would import first."""

from backend.jobs import worker
from backend.settings import Settings

worker.prepare_process(Settings(), 0)
worker.preload()
