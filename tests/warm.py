"""Imported by the process that test workers and their children are forked from: what each would
import first."""

from backend.jobs import worker
from backend.settings import Settings
from tests import nursery

worker.prepare_process(Settings(), 0)
worker.preload()
nursery.preload()
