"""Questions and their answers: asked, written anew, stopped, watched."""

import asyncio
import time
import uuid
from collections.abc import AsyncIterator, Sequence

from backend.chat.conversations.asking import author_of, fitted, request_of
from backend.chat.conversations.draft import Draft
from backend.chat.conversations.pictures import check_pictures
from backend.chat.conversations.reading import Reader, Side
from backend.chat.conversations.routes import Route, Router
from backend.chat.conversations.store import ConversationStore, NewTurn, title_from
from backend.chat.conversations.tables import Asked, plain, summary_of
from backend.chat.conversations.writer import Writer
from backend.contracts import (
    AnswerNews,
    AnswerState,
    ChatRequest,
    Conversation,
    Endpoint,
    Turn,
)
from backend.errors import Code, StudioError

LOOK_S = 0.5
"""How often an answer is looked at that another process writes."""


def new_id() -> str:
    return uuid.uuid4().hex


class Talk:
    """Raises StudioError CONVERSATION_NOT_FOUND, TURN_NOT_FOUND for what is not the owner's."""

    def __init__(
        self, store: ConversationStore, writer: Writer, reader: Reader, router: Router
    ) -> None:
        self._store, self._writer = store, writer
        self._reader, self._router = reader, router

    def say(
        self,
        sides: list[Side],
        text: str,
        images: tuple[str, ...],
        instead_of: str | None,
        alone: bool = False,
    ) -> tuple[Conversation, ...]:
        """Ask, on each side; `instead_of` a question, as another version of it; `alone` only while
        no answer is written for its owner anywhere. Nothing is kept of what cannot be asked. The
        sides as they are then."""
        check_pictures(images)
        routes = self._router.routes([side.settings.server for side in sides], sides[0].owner)
        ids = [new_id() for _ in sides]
        twins = ids[::-1] if len(ids) > 1 else [None]
        said, drafts, path, hidden = list[NewTurn](), list[Draft](), list[str](), list[str]()
        shown = list[tuple[Turn, ...]]()
        for side, route, each, twin in zip(sides, routes, ids, twins, strict=True):
            parent = _parent(sides, side, instead_of)
            question = Turn(
                id=each,
                parent=parent,
                role="user",
                content=plain(text),
                images=images,
                created_at=time.time(),
                versions=(*(node.id for node in side.tree.children(parent)), each),
            )
            above = side.tree.path_to(parent)
            before = self._reader.turns(above, side.tree)
            draft = self._draft(side, before, question, route)
            said += [NewTurn(side.id, question, twin), _kept(side, draft)]
            drafts.append(draft)
            path += above
            hidden += _hidden(side, above, parent)
            shown.append((*before, question))
        title = sides[0].row["title"] or title_from(text)
        if all(side.kept for side in sides):
            self._store.ask(said, path, hidden, title, alone)
        else:
            self._store.add([dict(side.row) | {"title": title} for side in sides], said, alone)
        self._begin(drafts, routes)
        return tuple(
            Conversation(
                **summary_of(side.row).model_dump() | {"title": title},
                settings=side.settings,
                turns=(*turns, draft.turn()),
            )
            for side, turns, draft in zip(sides, shown, drafts, strict=True)
        )

    def again(
        self, conversation: str, owner: str | None, turn: str, alone: bool = False
    ) -> AnswerNews:
        """Have an answer written anew, or a question answered; other versions stay."""
        sides = self._reader.sides(conversation, owner)
        sides.sort(key=lambda side: side.id != conversation)
        side, path = sides[0], sides[0].path_to(turn)
        if side.tree.nodes[turn].role == "assistant":
            path.pop()
        route = self._router.routes([each.settings.server for each in sides], side.owner)[0]
        question = self._reader.turns(path[-1:], side.tree)[0]
        before = self._reader.turns(path[:-1], side.tree)
        draft = self._draft(side, before, question, route)
        hidden = _hidden(side, path, question.id)
        self._store.ask([_kept(side, draft)], path, hidden, title_from(question.content), alone)
        self._begin([draft], [route])
        return draft.news()

    def stop(self, turn: str, owner: str | None) -> None:
        self._store.place_of(turn, owner)
        if draft := self._writer.draft(turn):
            draft.stop.request()
        else:
            self._store.request_stop(turn)

    async def watch(self, turn: str, owner: str | None) -> AsyncIterator[AnswerNews]:
        place = await asyncio.to_thread(self._store.place_of, turn, owner)
        if draft := self._writer.draft(turn):
            async for news in draft.watch():
                yield news
            return
        tree = await asyncio.to_thread(self._store.tree, place)
        last: Turn | None = None
        while last is None or last.state is AnswerState.WRITING:
            if last is not None:
                await asyncio.sleep(LOOK_S)
            found = await asyncio.to_thread(self._reader.turns, [turn], tree)
            if not found:
                raise StudioError(Code.TURN_NOT_FOUND)
            last = found[0]
            yield news_of(last)

    def asked(
        self, conversation: str, owner: str | None, turn: str
    ) -> tuple[ChatRequest, Endpoint]:
        """What was sent for an answer, and where."""
        side = self._reader.side(conversation, owner)
        *before, _ = side.path_to(turn)
        asked = self._store.asked(turn)
        if asked is None:
            raise StudioError(Code.TURN_NOT_FOUND)
        turns = self._reader.turns(before, side.tree)
        return request_of(turns, asked.settings), asked.endpoint

    def _draft(self, side: Side, before: Sequence[Turn], question: Turn, route: Route) -> Draft:
        """An answer that can be asked for."""
        asked = request_of([*before, question], side.settings)
        request, endpoint = fitted(asked, route.endpoint)
        settings = side.settings.model_copy(update={"sampling": request.sampling})
        siblings = [node.id for node in side.tree.children(question.id)]
        own_id = new_id()
        answer = Turn(
            id=own_id,
            parent=question.id,
            role="assistant",
            content="",
            created_at=time.time(),
            versions=(*siblings, own_id),
            state=AnswerState.WRITING,
            author=author_of(endpoint, settings.server),
        )
        draft = Draft(answer, request, Asked(endpoint=endpoint, settings=settings))
        if route.memory_bytes:
            draft.sample(route.memory_bytes)
        return draft

    def _begin(self, drafts: Sequence[Draft], routes: Sequence[Route]) -> None:
        """One whose server has to be brought waits for the other."""
        pairs = list(zip(drafts, routes, strict=True))
        beside = next((draft for draft, route in pairs if route.exchange is None), None)
        for draft, route in pairs:
            self._writer.begin(draft, route.exchange.after(beside) if route.exchange else None)


def news_of(turn: Turn) -> AnswerNews:
    """What there is to tell of an answer that is not written here."""
    measured = turn.metrics
    return AnswerNews(
        turn=turn,
        elapsed_s=measured.total_s if measured else max(0.0, time.time() - turn.created_at),
        tokens=(measured.completion_tokens or 0) if measured else 0,
        tokens_per_s=measured.tokens_per_s if measured else None,
        ttft_s=measured.ttft_s if measured else None,
    )


def _parent(sides: list[Side], side: Side, instead_of: str | None) -> str | None:
    """Below which turn the next question of a side comes: after all that is shown, or where the
    question is that it takes the place of, or that one's twin."""
    if instead_of is not None:
        nodes = [each.tree.nodes[instead_of] for each in sides if instead_of in each.tree.nodes]
        if not nodes or nodes[0].role != "user":
            raise StudioError(Code.TURN_NOT_FOUND)
        for each in (nodes[0].id, nodes[0].twin):
            if each in side.tree.nodes:
                return side.tree.nodes[each].parent
    path = side.tree.shown_path()
    return path[-1] if path else None


def _hidden(side: Side, path: list[str], parent: str | None) -> list[str]:
    """What is not shown any more once something new comes below `parent`, where `path` leads."""
    below = [node.id for node in side.tree.children(parent)]
    return [*side.tree.hidden_beside(path), *below]


def _kept(side: Side, draft: Draft) -> NewTurn:
    return NewTurn(side.id, draft.turn(), asked=draft.asked)
