"""`storage` and `clean`."""

from typing import Annotated

import typer

from backend.commands.output import answer, failing_plainly, table
from backend.commands.pictures import Json
from backend.contracts import StorageItem, StorageKind
from backend.language import human_bytes, say
from backend.settings import load_settings
from backend.studio import Studio


def storage(as_json: Json = False) -> None:
    """What the studio keeps on disk, by kind."""
    with failing_plainly(as_json):
        found = Studio(load_settings()).disk.storage(None)
        data = {
            "kinds": [
                {
                    "kind": group.kind,
                    "size_bytes": group.size_bytes,
                    "items": [_as_data(item) for item in group.items],
                }
                for group in found.groups
            ],
            "size_bytes": found.size_bytes,
            "foreign_hub_bytes": found.foreign_hub_bytes,
            "disk_free_bytes": found.disk_free_bytes,
        }
        rows = [
            (group.kind, human_bytes(group.size_bytes), str(len(group.items)))
            for group in found.groups
        ]
        answer(as_json, data, table([("kind", "size", "items"), *rows]))


def clean(
    kinds: Annotated[
        list[StorageKind], typer.Argument(metavar="KIND...", help=", ".join(StorageKind))
    ],
    yes: Annotated[bool, typer.Option("--yes", help="Do not ask.")] = False,
    as_json: Json = False,
) -> None:
    """Delete everything of these kinds that no job uses. Says first what that is.

    With --json and without --yes it only says so.
    """
    with failing_plainly(as_json):
        studio = Studio(load_settings())
        groups = studio.disk.storage(None).groups
        items = [item for group in groups if group.kind in kinds for item in group.items]
        going = [item for item in items if item.kept is None]
        staying = [item for item in items if item.kept is not None]
        if as_json and not yes:
            would = {
                "would_go": [_as_data(i) for i in going],
                "kept": [_as_data(i) for i in staying],
            }
            answer(True, would, "")
            return
        if not yes:
            print(table([_row(item) for item in (*going, *staying)]))
            size = human_bytes(sum(item.size_bytes for item in going))
            typer.confirm(f"Delete {len(going)} ({size})?", abort=True)
        done = studio.disk.clean_up(tuple(item.key for item in going), None)
        kept = (*staying, *done.kept)
        data = {
            "gone": [_as_data(item) for item in done.gone],
            "kept": [_as_data(item) for item in kept],
            "freed_bytes": done.freed_bytes,
        }
        answer(as_json, data, f"{human_bytes(done.freed_bytes)} freed.")


def _as_data(item: StorageItem) -> dict[str, object]:
    return {
        "kind": item.kind,
        "name": item.name,
        "size_bytes": item.size_bytes,
        "kept": item.kept.render() if item.kept else None,
    }


def _row(item: StorageItem) -> tuple[str, ...]:
    kept = item.kept.render() if item.kept else ""
    name = say(f"storage.kind.{item.kind}")
    return (name, human_bytes(item.size_bytes), item.name, kept)
