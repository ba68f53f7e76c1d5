"""Exports, imports that trust nothing, and requests to be sent by oneself."""

import base64
import io
import json
import shutil
import subprocess
import sys
from collections.abc import Callable
from typing import Any

import pytest
from PIL import Image

from backend.chat.conversations.asking import request_of
from backend.chat.conversations.files import MAX_BYTES
from backend.chat.conversations.markdown import as_markdown
from backend.chat.conversations.pictures import check_pictures
from backend.chat.conversations.snippets import as_curl, as_python
from backend.contracts import (
    AnswerMetrics,
    AnswerState,
    Author,
    Conversation,
    ConversationSettings,
    Endpoint,
    Message,
    Sampling,
    ServerKind,
    Turn,
)
from backend.errors import Code, ErrorInfo, StudioError
from backend.settings import Settings
from backend.studio import Studio
from tests.chat_server import StandIn, running
from tests.support import OWNER
from tests.unit.test_conversations import OUTSIDE, asking, contents, ending, said


def picture(form: str = "PNG", size: tuple[int, int] = (4, 4)) -> str:
    file = io.BytesIO()
    Image.new("RGB", size).save(file, format=form)
    return f"data:image/{form.lower()};base64,{base64.b64encode(file.getvalue()).decode()}"


def test_a_conversation_comes_back_with_all_versions(settings: Settings) -> None:
    with asking(settings, reasoning=("Hm",)) as (studio, _):
        chat = studio.chat
        begun = chat.begin(OUTSIDE, OWNER, beside=OUTSIDE.model_copy(update={"system": "Short."}))
        for text in ("One", "Two"):
            for side in chat.say(begun.id, OWNER, text):
                ending(studio, side.turns[-1].id)
        first = chat.conversation(begun.id, OWNER)
        for side in chat.say(begun.id, OWNER, "Eins", instead_of=first.turns[0].id):
            ending(studio, side.turns[-1].id)
        shown = chat.choose(begun.id, OWNER, first.turns[0].id)
        exported = chat.export(begun.id, OWNER, "json")
        back = chat.import_(exported.encode(), "visitor:other")
        again = chat.export(back.id, "visitor:other", "json")
        other = chat.conversation(back.beside or "", "visitor:other")
        asked = chat.say(back.id, "visitor:other", "Drei", instead_of=back.turns[0].id)
    assert contents(back) == contents(shown) == ["One", "Hello, world.", "Two", "Hello, world."]
    assert back.turns[1].reasoning == "Hm" and back.turns[1].metrics == shown.turns[1].metrics
    assert len(back.turns[0].versions) == 2 and back.title == "One"
    assert other.settings.system == "Short." and contents(other)[0] == "Eins"
    old_ids = {turn["id"] for side in json.loads(exported)["sides"] for turn in side["turns"]}
    assert not any(each in again for each in old_ids)
    assert all(side.turns[-1].state is AnswerState.WRITING for side in asked)
    assert [contents(side) for side in asked] == [["Drei", ""]] * 2, "both sides know their twins"


def exported(**changes: Any) -> dict[str, Any]:
    """A small file, changed at `file`, `side`, `question` or `answer`."""
    question: dict[str, Any] = {
        "id": "a",
        "parent": None,
        "role": "user",
        "content": "x",
        "created_at": 1.0,
    }
    answer = {"id": "b", "parent": "a", "role": "assistant", "content": "y", "created_at": 2.0}
    question |= {"created_at": 1.0, "shown": True} | changes.get("question", {})
    answer |= {"shown": True, "state": "done"} | changes.get("answer", {})
    side = {"settings": {}, "turns": [question, answer]} | changes.get("side", {})
    file: dict[str, Any] = {"spark_studio_conversation": 1, "title": "t", "created_at": 0.0}
    return dict(file | {"sides": [side]} | changes.get("file", {}))


@pytest.mark.parametrize(
    ("content", "code"),
    [
        (b"", Code.CONVERSATION_FILE_INVALID),
        (b"\xff\xfe", Code.CONVERSATION_FILE_INVALID),
        (b"# A conversation", Code.CONVERSATION_FILE_INVALID),
        (b"[" * 100_000, Code.CONVERSATION_FILE_INVALID),
        ({"messages": []}, Code.CONVERSATION_FILE_INVALID),
        (exported(file={"spark_studio_conversation": 2}), Code.CONVERSATION_FILE_NEWER),
        (exported(file={"spark_studio_conversation": "1"}), Code.CONVERSATION_FILE_INVALID),
        (exported(file={"owner": "visitor:other"}), Code.CONVERSATION_FILE_INVALID),
        (exported(file={"created_at": float("nan")}), Code.CONVERSATION_FILE_INVALID),
        (exported(file={"sides": []}), Code.CONVERSATION_FILE_INVALID),
        (exported(question={"role": "system"}), Code.CONVERSATION_FILE_INVALID),
        (exported(question={"parent": "b"}), Code.CONVERSATION_FILE_INVALID),
        (exported(question={"id": "b"}), Code.CONVERSATION_FILE_INVALID),
        (exported(question={"state": "done"}), Code.CONVERSATION_FILE_INVALID),
        (exported(answer={"state": "asleep"}), Code.CONVERSATION_FILE_INVALID),
        (exported(answer={"parent": None}), Code.CONVERSATION_FILE_INVALID),
        (
            exported(answer={"error": {"code": "CONTEXT_EXCEEDED"}}),
            Code.CONVERSATION_FILE_INVALID,
        ),
        (
            exported(
                answer={
                    "error": {
                        "code": "SERVER_ERROR",
                        "values": {"server": "", "problem": {"key": "no.such.text"}},
                    }
                }
            ),
            Code.CONVERSATION_FILE_INVALID,
        ),
        (exported(question={"images": ["javascript:alert(1)"]}), Code.CHAT_IMAGE_REFUSED),
        (
            exported(question={"images": ["data:image/svg+xml;base64,PHN2Zy8+"]}),
            Code.CHAT_IMAGE_REFUSED,
        ),
        (exported(side={"settings": {"server": "x" * 500}}), Code.CONVERSATION_FILE_INVALID),
        (b" " * (MAX_BYTES + 1), Code.CONVERSATION_FILE_TOO_LARGE),
    ],
    ids=lambda value: None if isinstance(value, Code) else "",
)
def test_files_that_are_not_ours(studio: Studio, content: Any, code: Code) -> None:
    given = content if isinstance(content, bytes) else json.dumps(content).encode()
    with pytest.raises(StudioError) as refusal:
        studio.chat.import_(given, OWNER)
    assert refusal.value.code is code
    assert refusal.value.info.message("ko") and refusal.value.info.hint("ko")
    assert studio.chat.conversations(OWNER).total == 0


def test_what_a_file_says_of_itself_is_not_believed(studio: Studio) -> None:
    file = exported(
        file={"title": "\0<b>" + "x" * 500},
        question={"content": "a\0\ud800", "created_at": 1e18, "images": [picture("WEBP")]},
        answer={"state": "writing", "versions": ["z"], "twin": "z"},
    )
    back = studio.chat.import_(json.dumps(file).encode(), OWNER)
    assert back.turns[1].state is AnswerState.INTERRUPTED
    assert (back.turns[0].content, len(back.title)) == ("a?", 80)
    assert back.turns[0].created_at < back.changed_at + 1
    assert back.turns[1].versions == (back.turns[1].id,)
    with pytest.raises(StudioError) as refusal:
        studio.chat.as_curl(back.id, OWNER, back.turns[1].id)
    assert refusal.value.code is Code.TURN_NOT_FOUND


def test_pictures_are_really_pictures() -> None:
    check_pictures((picture("PNG"), picture("JPEG"), picture("WEBP")))
    truncated = picture("PNG", (64, 64))[:-40]
    wrong_kind = picture("PNG").replace("image/png", "image/jpeg")
    for refused in (truncated, wrong_kind, "data:image/png,abc", "https://a/b.png"):
        with pytest.raises(StudioError) as refusal:
            check_pictures((refused,))
        assert refusal.value.code is Code.CHAT_IMAGE_REFUSED


def test_markdown_for_people() -> None:
    author = Author(
        model="qwen", precision="NVFP4", server="qwen/vllm", kind=ServerKind.VLLM, simulated=True
    )
    metrics = AnswerMetrics(
        ttft_s=0.42, reasoning_s=1.5, tokens_per_s=55.5, total_s=3.0, completion_tokens=100
    )
    turns = (
        Turn(id="a", parent=None, role="user", content="Why?", images=(picture(),), created_at=1.0),
        Turn(
            id="b",
            parent="a",
            role="assistant",
            content="```py\n1\n```",
            reasoning="Hm </details> <script>",
            created_at=2.0,
            state=AnswerState.FAILED,
            author=author,
            metrics=metrics,
            peak_memory_bytes=2**30,
            error=ErrorInfo(code=Code.SERVER_DIED, values={"server": "http://x"}),
        ),
    )
    side = Conversation(
        id="c",
        title="Why?",
        created_at=0.0,
        changed_at=0.0,
        settings=ConversationSettings(system="Be\nbrief."),
        turns=turns,
    )
    text = as_markdown([side], "en")
    for piece in (
        "# Why?\n\n1970-01-01 00:00 UTC",
        "> Be\n> brief.",
        "](data:image/png;base64,",
        "## qwen (NVFP4, weights only, simulated, vllm)",
        "<details><summary>Reasoning (1.50 s)</summary>\n\nHm &lt;/details> <script>\n\n</details>",
        "```py\n1\n```",
        "`SERVER_DIED` The server at http://x ended",
        "100 tokens · first token after 0.42 s · 55.5 tokens/s · 3.00 s in all · 1.0 GiB of memory",
    ):
        assert piece in text, text
    assert text.count("</details>") == 1
    assert "추론 과정" in as_markdown([side, side], "ko")


def test_a_base_model_goes_on_with_the_text() -> None:
    turns = [
        Turn(id="a", parent=None, role="user", content="Once upon", created_at=1.0),
        Turn(id="b", parent="a", role="assistant", content=" a time.", created_at=2.0),
        Turn(id="c", parent="b", role="user", content="The", created_at=3.0),
    ]
    settings = ConversationSettings(completion=True, system="A tale", sampling=Sampling(seed=1))
    request = request_of(turns, settings)
    assert request.prompt == "A tale\nOnce upon a time.\nThe" and not request.messages
    assert request.sampling.seed == 1
    chat = request_of(turns, settings.model_copy(update={"completion": False}))
    assert chat.messages[0] == Message(role="system", content="A tale")


def run_python(code: str, server: StandIn) -> str:
    return _run([sys.executable, "-c", code], server)


def run_curl(command: str, server: StandIn) -> str:
    return _run(["bash", "-c", command], server)


def _run(command: list[str], server: StandIn) -> str:
    environment = {"OPENAI_API_KEY": "secret", "PATH": "/usr/bin:/bin"}
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=True)
    return done.stdout


@pytest.mark.parametrize(
    ("snippet", "run", "expected"),
    [
        (as_python, run_python, "Hello, world."),
        pytest.param(
            *(as_curl, run_curl, '"content": "Hello"'),
            marks=pytest.mark.skipif(shutil.which("curl") is None, reason="curl is not installed"),
        ),
    ],
)
@pytest.mark.parametrize("kind", [ServerKind.OUTSIDE, ServerKind.VLLM])
def test_a_request_can_be_sent_by_oneself(
    snippet: Callable[..., str], run: Callable[..., str], expected: str, kind: ServerKind
) -> None:
    key = "secret" if kind is ServerKind.OUTSIDE else ""
    with running(StandIn(kind, key=key)) as server:
        endpoint = Endpoint(kind=kind, url=server.url, model_id=server.model, model="A model")
        top_k = None if kind is ServerKind.OUTSIDE else 5
        turns = [
            Turn(id="a", parent=None, role="user", content="It's $HOME\nJSON\n\"", created_at=1)
        ]
        sampling = Sampling(seed=1, top_k=top_k, stop=("END",), max_tokens=7)
        request = request_of(turns, ConversationSettings(sampling=sampling))
        text = snippet(request, endpoint)
        told = run(text, server)
    assert expected in told
    assert "secret" not in text
    [body] = server.bodies
    assert body["messages"] == [{"role": "user", "content": "It's $HOME\nJSON\n\""}]
    assert body["seed"] == 1 and body.get("top_k") == top_k


def test_the_request_of_an_answer_is_as_it_was_asked(settings: Settings) -> None:
    with asking(settings) as (studio, server):
        begun = studio.chat.begin(
            OUTSIDE.model_copy(update={"system": "Brief.", "sampling": Sampling(seed=5)}), OWNER
        )
        first = said(studio, begun, "One")
        studio.chat.change(begun.id, OWNER, settings=OUTSIDE)
        said(studio, begun, "Two")
        command = studio.chat.as_curl(begun.id, OWNER, first.id)
        program = studio.chat.as_python(begun.id, OWNER, first.id)
    body = json.loads(command.split("<<'JSON'\n")[1].rsplit("\nJSON", 1)[0])
    assert body == server.bodies[0]
    assert "$OPENAI_API_KEY" in command and 'os.environ["OPENAI_API_KEY"]' in program
