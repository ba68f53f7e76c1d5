"""`jobs list / show / cancel / retry / delete`."""

from typing import Annotated, Any

import typer

from backend.commands.output import answer, failing_plainly, table
from backend.commands.pictures import Json
from backend.contracts import JobSnapshot
from backend.language import say
from backend.settings import load_settings
from backend.studio import Studio

app = typer.Typer(help="Jobs of everybody on this database.", no_args_is_help=True)
JobId = Annotated[str, typer.Argument(metavar="ID")]


def _as_data(job: JobSnapshot, owner: str) -> dict[str, Any]:
    data = job.model_dump(mode="json", include={"id", "kind", "state", "position", "step", "total"})
    return data | {
        "phase": job.phase,
        "created": job.created_at,
        "owner": owner,
        "title": job.title,
        "variant": job.variant,
        "error": job.error.code if job.error else None,
    }


@app.command("list")
def list_jobs(limit: int = 50, search: str = "", as_json: Json = False) -> None:
    """The newest jobs, live and ended."""
    with failing_plainly(as_json):
        studio = Studio(load_settings())
        page = studio.jobs.history(None, search, limit)
        owners = studio.jobs.owners([job.id for job in page.jobs])
        rows = [
            (job.id, say(f"state.{job.state}"), job.variant, job.title[:60]) for job in page.jobs
        ]
        data = {"jobs": [_as_data(job, owners[job.id]) for job in page.jobs], "total": page.total}
        answer(as_json, data, table(rows))


@app.command()
def show(job_id: JobId, as_json: Json = False) -> None:
    """All that is known of one job."""
    with failing_plainly(as_json):
        studio = Studio(load_settings())
        job = studio.jobs.get(job_id, None)
        owner = studio.jobs.owners([job.id])[job.id]
        data = {"job": job.model_dump(mode="json"), "jobs": [_as_data(job, owner)]}
        lines = [f"{job.id}  {say(f'state.{job.state}')}  {job.variant}", job.title]
        lines += [image.path for image in job.images]
        if job.error:
            lines += [f"{job.error.code}: {job.error.message()}", job.error.hint()]
        answer(as_json, data, "\n".join(lines))


def _act(job_id: str, as_json: bool, verb: str) -> None:
    with failing_plainly(as_json):
        studio = Studio(load_settings())
        getattr(studio.jobs, verb)(job_id, None)
        answer(as_json, {"id": job_id, "done": verb}, f"{verb}: {job_id}")


@app.command()
def cancel(job_id: JobId, as_json: Json = False) -> None:
    """Stop a waiting or running job."""
    _act(job_id, as_json, "cancel")


@app.command()
def retry(job_id: JobId, as_json: Json = False) -> None:
    """Let a failed, stopped or interrupted job run again."""
    _act(job_id, as_json, "retry")


@app.command()
def delete(job_id: JobId, as_json: Json = False) -> None:
    """Delete an ended job and its pictures."""
    _act(job_id, as_json, "delete")
