"""Answers compared by a real worker, whose servers are stand-ins: at once, one after the other, one
dying midway, and a job that is killed, cancelled and tried again."""

import json
import sys
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest

from backend.chat.servers import kinds
from backend.chat.servers.commands import Launch
from backend.chat.servers.plan import Plan
from backend.contracts import (
    ComparedState,
    CompareTextRequest,
    JobState,
    Sampling,
    ServeRequest,
    ServerKind,
    ServerPhase,
    TextReport,
    TextVariant,
)
from backend.errors import Code
from backend.settings import Settings
from backend.studio import Studio
from tests.support import OWNER, PATIENCE_S, WarmWorker, until, work
from tests.tiny_llama import make_tiny_llama

PROMPTS = ("How many eggs?", "How many apples?")
THOUGHT, ANSWER, OTHER = "Seven times 12.", "It is 84.", "It is 85, I think."
BUDGET = 1800 * 1024**2
"""For two servers of some 700 MiB, not for three."""
MARK = "STAND_IN_OF"
DONE, FAILED, RUNNING, WAITING = (
    ComparedState.DONE,
    ComparedState.FAILED,
    ComparedState.RUNNING,
    ComparedState.WAITING,
)


def launch(settings: Settings, plan: Plan, port: int, name: str) -> Launch:
    """The stand-in, behaving as a file of the model's folder says."""
    told = json.loads((Path(plan.model.folder) / "stand-in.json").read_text())
    argv = [sys.executable, "-m", "tests.chat_server", "--port", str(port), "--kind", plan.kind]
    return Launch((*argv, *told), {MARK: str(settings.home)}, "stand-in")


def work_with_stand_ins(name: str, given: dict[str, str], log: Path) -> None:
    kinds.launch = launch
    work(name, given, log)


class House:
    """A studio, its worker, and models whose servers behave as told."""

    def __init__(self, home: Path) -> None:
        self.settings = Settings(home=home, memory_budget_bytes=BUDGET)
        self.studio = Studio(self.settings)
        self.models = home / "checkpoints"
        self.worker = self.new_worker()

    def new_worker(self) -> WarmWorker:
        return WarmWorker(self.settings, target=work_with_stand_ins)

    def model(self, name: str, *behaviour: str) -> None:
        folder = self.models / name
        if not folder.exists():
            make_tiny_llama(folder)
        (folder / "stand-in.json").write_text(json.dumps(behaviour))

    def compare(self, *models: str, together: bool = False, temperature: float = 0.0) -> str:
        variants = tuple(TextVariant(model=name, kind=ServerKind.TRANSFORMERS) for name in models)
        request = CompareTextRequest(
            variants=variants,
            prompts=PROMPTS,
            sampling=Sampling(temperature=temperature, max_tokens=64),
            together=together,
        )
        return self.studio.compare_text.compare(request, OWNER)

    def report(self, job: str) -> TextReport:
        report = self.studio.compare.show(job, OWNER)
        assert isinstance(report, TextReport)
        return report

    def finished(self, job: str) -> TextReport:
        ended = self.studio.jobs.wait(job, OWNER, PATIENCE_S)
        assert ended.state is JobState.SUCCEEDED, ended.error
        return self.report(job)

    def running(self) -> set[str]:
        return {one.key for one in self.studio.chat.servers() if one.phase.is_live}

    def is_ready(self, key: str) -> bool:
        servers = self.studio.chat.servers()
        return any(one.key == key and one.phase is ServerPhase.READY for one in servers)

    def processes(self) -> list[psutil.Process]:
        """Stand-ins of this studio that run, whoever started them."""
        mark = (MARK, str(self.settings.home))
        every = psutil.process_iter(["environ"])
        return [one for one in every if mark in (one.info["environ"] or {}).items()]


@pytest.fixture(scope="module")
def house(tmp_path_factory: pytest.TempPathFactory) -> Iterator[House]:
    house = House(tmp_path_factory.mktemp("compared"))
    house.model("one", "--reasoning", THOUGHT, "--answer", ANSWER)
    house.model("two", "--reasoning", THOUGHT, "--answer", OTHER)
    house.model("dying", "--answer", "I am", "--exit-after", "3")
    yield house
    house.worker.kill()
    house.studio.close()


def test_asked_at_once_beside_a_server_that_stays(house: House) -> None:
    serving = ServeRequest(model="one", kind=ServerKind.TRANSFORMERS)
    house.studio.jobs.wait(house.studio.chat.serve(serving, OWNER), OWNER, PATIENCE_S)
    job = house.compare("one", "two", together=True)
    report = house.finished(job)
    assert report.together and report.apart_because is None
    assert [len(report.answers), {one.state for one in report.answers}] == [4, {DONE}]
    assert not any(one.alone for one in report.answers), "all shared the machine"
    for answer in report.answers:
        assert answer.reasoning == THOUGHT
        assert answer.text == (ANSWER if answer.variant == 0 else OTHER)
        assert answer.completion_tokens == len(answer.reasoning + answer.text) == answer.tokens
        assert answer.ttft_s and answer.total_s and answer.finish_reason == "stop"
        same = len(THOUGHT) + len("It is 8")
        wanted = (None, None) if answer.variant == 0 else (same, same)
        assert (answer.same_characters, answer.same_tokens) == wanted
    first, second = report.variants
    assert (first.state, second.state) == (DONE, DONE)
    assert (first.started_here, second.started_here) == (False, True)
    assert first.ready_s is None and second.ready_s
    assert first.peak_memory_bytes and second.peak_memory_bytes
    assert second.weights_bytes and second.precision == "FP32"
    assert second.ttft_s and second.ttft_s.count == 2
    share = (len(THOUGHT) + len("It is 8")) / len(THOUGHT + OTHER)
    assert second.agreement == pytest.approx(share) and second.same == 0
    assert (first.agreement, first.same) == (None, None)
    until(lambda: house.running() == {"one/transformers"}, "the end of what was started here")
    folder = house.settings.outputs / job
    assert {"report.json", "report.html", "manifest.json"} == {
        file.name for file in folder.iterdir()
    }
    [entry] = house.studio.compare.list(OWNER)
    assert (entry.id, entry.kind, entry.prompts) == (job, "text", 2)


def test_one_after_the_other_for_want_of_memory_and_one_that_dies(house: House) -> None:
    job = house.compare("one", "two", "dying", together=True)
    report = house.finished(job)
    assert not report.together, "one of another comparison runs, and two more do not fit beside it"
    assert report.apart_because and report.apart_because.code is Code.COMPARE_MEMORY_SHORT
    assert all(one.alone for one in report.answers)
    assert [one.state for one in report.variants] == [DONE, DONE, FAILED]
    assert report.variants[2].error and report.variants[2].error.code is Code.SERVER_DIED
    died, never = (one for one in report.answers if one.variant == 2)
    assert (died.state, never.state) == (FAILED, FAILED)
    assert (died.text, never.text) == ("I a", "")
    assert never.error == report.variants[2].error
    until(lambda: house.running() == {"one/transformers"}, "the end of what was started here")
    house.studio.chat.stop("one/transformers")
    until(lambda: not house.running(), "the end of the other")


def test_killed_cancelled_and_tried_again(house: House) -> None:
    """What is done stays: the first server, asked again, would not even start."""
    house.model("first", "--answer", ANSWER)
    house.model("second", "--answer", OTHER, "--endless")
    job = house.compare("first", "second", temperature=0.5)

    def writing() -> TextReport | None:
        report = house.report(job)
        written = report.answers[2]
        return report if written.state is RUNNING and len(written.text) > len(OTHER) else None

    before = until(writing, "the second server's answer")
    assert [one.state for one in before.answers[:2]] == [DONE, DONE]
    assert before.answers[2].same_characters == len("It is 8")
    house.worker.kill()
    house.model("first", "--death", "other")
    until(lambda: not house.processes(), "the end of its servers")
    house.worker = house.new_worker()
    until(lambda: house.is_ready("second/transformers"), "its start by the next worker")
    until(writing, "its answer")
    house.studio.jobs.cancel(job, OWNER)
    assert house.studio.jobs.wait(job, OWNER, PATIENCE_S).state is JobState.CANCELLED
    assert not house.processes(), "stopped before the job ends"
    stopped = house.report(job)
    assert [one.state for one in stopped.answers] == [DONE, DONE, WAITING, WAITING]
    assert stopped.answers[2].text.startswith(OTHER)
    house.model("second", "--answer", ANSWER)
    house.studio.jobs.retry(job, OWNER)
    report = house.finished(job)
    assert report.answers[:2] == before.answers[:2]
    assert {one.state for one in (*report.variants, *report.answers)} == {DONE}
    assert report.variants[1].agreement is None, "it was not greedy"


def test_a_comparison_of_which_nothing_came_fails(house: House) -> None:
    house.model("no", "--death", "memory")
    house.model("neither", "--death", "driver")
    job = house.compare("no", "neither")
    ended = house.studio.jobs.wait(job, OWNER, PATIENCE_S)
    assert ended.state is JobState.FAILED
    assert ended.error and ended.error.code is Code.SERVER_OUT_OF_MEMORY
    errors = [one.error.code for one in house.report(job).variants if one.error]
    assert errors == [Code.SERVER_OUT_OF_MEMORY, Code.SERVER_DRIVER_MISMATCH]
