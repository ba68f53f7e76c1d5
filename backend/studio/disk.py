"""What is kept on disk: `Studio.disk`."""

from backend.contracts import CleanUp, Storage
from backend.engines.host import this_host
from backend.storage import Keep, clean_up, free_bytes, storage
from backend.studio.desk import Desk


class Disk:
    def __init__(self, desk: Desk) -> None:
        self._desk = desk

    def storage(self, owner: str | None) -> Storage:
        """What is kept, and what of it may go."""
        return storage(self._keep(owner))

    def clean_up(self, keys: tuple[str, ...], owner: str | None) -> CleanUp:
        """Delete exactly these items of `storage`; what has changed since is kept."""
        return clean_up(self._keep(owner), keys)

    def free_bytes(self) -> int:
        """Of the disk that the home folder is on."""
        return free_bytes(self._desk.settings)

    def _keep(self, owner: str | None) -> Keep:
        desk = self._desk
        return Keep(desk.settings, desk.store, desk.queue, this_host(), owner)
