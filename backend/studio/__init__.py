"""The one door to the backend: the page, the command line and the API all call this.

`owner` is who asks. A job of somebody else is answered with JOB_NOT_FOUND, as one that does not
exist. The owner None is the machine's own user at the command line, who sees all.
"""

from backend.chat.client.capabilities import MAX_CHARACTERS, sampling_ranges
from backend.chat.client.capabilities import TITLES as SERVER_TITLES
from backend.compare.order import MOST_VARIANTS
from backend.compare.shown import shown as shown_report
from backend.compare.text.check import MOST_VARIANTS as MOST_SERVERS
from backend.hardware.targets import part_name
from backend.models.requests import MAX_SEED
from backend.settings import Settings
from backend.studio.compare import Comparisons
from backend.studio.compare_text import CompareText
from backend.studio.conversations import Conversations
from backend.studio.desk import GUEST, Desk, is_guest
from backend.studio.disk import Disk
from backend.studio.engines import Engines
from backend.studio.jobs import Jobs
from backend.studio.machine import Machine, studio_version
from backend.studio.models import Models
from backend.studio.networks import Networks
from backend.studio.pictures import Pictures, random_seed
from backend.studio.presentations import Presentations
from backend.studio.quantize import Quantize
from backend.studio.quantize_images import QuantizeImages
from backend.studio.results import Results
from backend.studio.serving import Serving
from backend.studio.visitors import Visitors
from backend.studio.votes import Votes

__all__ = [
    "GUEST",
    "MAX_CHARACTERS",
    "MAX_SEED",
    "MOST_SERVERS",
    "MOST_VARIANTS",
    "SERVER_TITLES",
    "Studio",
    "is_guest",
    "part_name",
    "random_seed",
    "sampling_ranges",
    "shown_report",
    "studio_version",
]


class Studio:
    """One process's view of the studio. Thread-safe; only `jobs.wait` blocks.

    Raises StudioError HOME_NOT_WRITABLE, DATABASE_UNREACHABLE or DATABASE_NEWER when made.
    """

    def __init__(self, settings: Settings) -> None:
        self.settings = settings
        self.desk = Desk(settings)
        self.jobs = Jobs(self.desk)
        self.models = Models(self.desk)
        self.engines = Engines(self.desk, self.models)
        self.pictures = Pictures(self.desk, self.models, self.engines)
        self.networks = Networks(self.desk)
        self.chat = Conversations(self.desk)
        self.serving = Serving(self.desk, self.chat)
        self.quantize = Quantize(self.desk)
        self.quantize_images = QuantizeImages(self.desk, self.models, self.engines)
        self.compare = Comparisons(self.desk, self.models, self.engines)
        self.compare_text = CompareText(self.desk, self.chat, self.compare)
        self.disk = Disk(self.desk)
        self.results = Results(self.desk, self.chat, self.disk)
        self.votes = Votes(self.desk, self.compare)
        self.presentations = Presentations(
            self.desk, self.jobs, self.compare, self.compare_text, self.votes
        )
        self.machine = Machine(self.desk)
        self.visitors = Visitors(self.desk, self.jobs, self.chat)

    def close(self) -> None:
        self.chat.close()
        self.desk.follower.close()
        self.desk.queue.close()
