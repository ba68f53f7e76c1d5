"""The Hugging Face hub's cache on this machine, looked at without asking the hub."""

from pathlib import Path

from huggingface_hub import constants, get_cached_repo_tree
from huggingface_hub.errors import CachedRepoTreeNotFoundError
from huggingface_hub.file_download import repo_folder_name

from backend.models.layouts import Layout


def storage_of(repo: str) -> Path:
    """Where all that is fetched from a repository lies."""
    folder = repo_folder_name(repo_id=repo, repo_type=constants.REPO_TYPE_MODEL)
    return Path(constants.HF_HUB_CACHE) / folder


def snapshot_of(repo: str, revision: str = "main") -> Path | None:
    """The folder of a repository's files at a revision; None when nothing of it is here."""
    reference = storage_of(repo) / "refs" / revision
    commit = reference.read_text().strip() if reference.is_file() else revision
    folder = storage_of(repo) / "snapshots" / commit
    return folder if folder.is_dir() else None


def names_in(folder: Path | None) -> list[str]:
    """Of all files below a folder; links to what is gone are none."""
    if folder is None:
        return []
    return sorted(str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file())


def lacking(repo: str, layout: Layout, revision: str = "main") -> list[str]:
    """What a layout needs of a repository and the cache does not hold: what no model can do
    without, and what the repository was seen to list."""
    here = names_in(snapshot_of(repo, revision))
    try:
        listed = [file.path for file in get_cached_repo_tree(repo, revision=revision)]
    except CachedRepoTreeNotFoundError:
        listed = []
    return sorted({*layout.lacks(here), *layout.choose(listed)} - set(here))
