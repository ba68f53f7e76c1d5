"""How far each picture is from the reference's: PSNR, SSIM, and a learned measure where there is
one."""

from pathlib import Path

from backend.models.hub_cache import snapshot_of
from backend.settings import Settings


def similarity_folder(settings: Settings) -> Path | None:
    """Where the weights of the learned measure are; None where they are not on this machine."""
    name = settings.similarity_model
    if not name:
        return None
    local = Path(name).expanduser()
    folder = local if local.is_dir() else snapshot_of(name)
    if folder is None or not (folder / "config.json").is_file():
        return None
    return folder if any(folder.glob("*.safetensors")) else None
