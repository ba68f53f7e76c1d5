"""A small Hugging Face hub on this machine: enough of its API to fetch models from, and to put them
into."""

import base64
import hashlib
import json
import threading
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from types import TracebackType
from typing import Any
from urllib.parse import unquote, urlsplit

COMMIT = "0123456789abcdef0123456789abcdef01234567"
LFS_FROM_BYTES = 100_000
PIECE_BYTES = 64 * 1024


@dataclass
class Repo:
    files: dict[str, bytes]
    gated: bool = False
    visibility: str = "public"
    licence: str = ""
    sizes: dict[str, int] = field(default_factory=dict)
    """Sizes that are claimed instead of the true ones."""
    about: dict[str, object] = field(default_factory=dict)
    """More of what the hub says of it: `cardData`, `config`."""


def etag(data: bytes) -> str:
    if len(data) >= LFS_FROM_BYTES:
        return hashlib.sha256(data).hexdigest()
    return hashlib.sha1(f"blob {len(data)}\0".encode() + data).hexdigest()


class Hub(ThreadingHTTPServer):
    """`with Hub({"owner/name": Repo(...)}) as hub:`; its wishes may be changed while it runs."""

    daemon_threads = True

    def __init__(self, repos: dict[str, Repo]) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.repos = repos
        self.good_token = "hf_good"
        self.granted = True
        self.refused: set[str] = set()
        """Repositories whose owners have not granted access yet."""
        self.cut_after: int | None = None
        """Each body breaks off after so many bytes."""
        self.hold = threading.Event()
        """While it is not set, bodies of large files stop in their middle."""
        self.hold.set()
        self.failing_status = 0
        self.ignores_ranges = False
        self.damaged = False
        self.writable = {"me"}
        """Owners that the good token may write for."""
        self.objects: dict[str, bytes] = {}
        """Large files that were sent, by digest, before a commit names them."""
        self.sent: dict[str, int] = {}
        self.requests: list[tuple[str, str, str | None]] = []
        """Method, path, Range."""
        self.lock = threading.Lock()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_port}"

    def __enter__(self) -> "Hub":
        threading.Thread(target=self.serve_forever, args=(0.01,), daemon=True).start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.hold.set()
        self.shutdown()
        self.server_close()


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: Hub

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002
        pass

    def do_HEAD(self) -> None:
        self.answer(with_body=False)

    def do_GET(self) -> None:
        self.answer(with_body=True)

    def answer(self, with_body: bool) -> None:
        path = unquote(urlsplit(self.path).path)
        with self.server.lock:
            self.server.requests.append((self.command, path, self.headers.get("Range")))
        authorization = self.headers.get("Authorization")
        if authorization not in (None, f"Bearer {self.server.good_token}"):
            self.refuse(401, "", "Invalid credentials in Authorization header")
            return
        name = path.removeprefix("/api/models").removeprefix("/")
        repo_id = "/".join(name.split("/")[:2])
        rest = name.split("/")[2:] or ["revision", "main"]
        repo = self.server.repos.get(repo_id)
        if repo is None:
            self.refuse(
                401 if authorization is None else 404, "RepoNotFound", "Repository not found"
            )
        elif rest[:1] in (["revision"], ["tree"], ["resolve"]) and rest[1] not in ("main", COMMIT):
            self.refuse(404, "RevisionNotFound", f"Invalid rev id: {rest[1]}")
        elif repo.gated and rest[0] in ("auth-check", "resolve") and not self.may_read(repo_id):
            self.refuse(401 if authorization is None else 403, "GatedRepo", "Access is restricted.")
        elif rest[0] == "auth-check":
            self.send_json({})
        elif rest[0] == "revision":
            self.send_json(self.info(repo_id, repo))
        elif rest[0] == "tree":
            self.send_json(self.tree(repo))
        else:
            self.send_file(repo, "/".join(rest[2:]), with_body)

    def body(self) -> bytes:
        if self.headers.get("Transfer-Encoding") != "chunked":
            return self.rfile.read(int(self.headers.get("Content-Length") or 0))
        pieces = []
        while size := int(self.rfile.readline(), 16):
            pieces.append(self.rfile.read(size))
            self.rfile.readline()
        self.rfile.readline()
        return b"".join(pieces)

    def do_POST(self) -> None:
        path = unquote(urlsplit(self.path).path)
        body = self.body()
        with self.server.lock:
            self.server.requests.append((self.command, path, None))
        if self.headers.get("Authorization") != f"Bearer {self.server.good_token}":
            self.refuse(401, "", "Invalid credentials in Authorization header")
            return
        repo_id = "/".join(path.removeprefix("/api/models").split("/")[1:3]).removesuffix(".git")
        if path == "/api/repos/create":
            self.create(json.loads(body))
        elif path == "/api/validate-yaml":
            self.send_json({"errors": [], "warnings": []})
        elif path == "/verify":
            self.send_json({})
        elif repo_id.split("/")[0] not in self.server.writable:
            self.refuse(403, "", "You do not have write access")
        elif path.endswith("/preupload/main"):
            files = [
                {
                    "path": file["path"],
                    "uploadMode": "lfs" if file["size"] >= LFS_FROM_BYTES else "regular",
                    "shouldIgnore": False,
                }
                for file in json.loads(body)["files"]
            ]
            self.send_json({"files": files})
        elif path.endswith("/info/lfs/objects/batch"):
            self.send_json({"transfer": "basic", "objects": [
                each | {"actions": {
                    "upload": {"href": f"{self.server.url}/lfs/{each['oid']}"},
                    "verify": {"href": f"{self.server.url}/verify"},
                }}
                for each in json.loads(body)["objects"]
            ]})  # fmt: skip
        else:
            self.commit(repo_id, [json.loads(line) for line in body.splitlines()])

    def create(self, told: dict[str, str]) -> None:
        repo_id = f"{told['organization']}/{told['name']}"
        if told["organization"] not in self.server.writable:
            self.refuse(403, "", f"You don't have the rights to create a model under {repo_id}")
            return
        self.server.repos[repo_id] = Repo({".gitattributes": b""}, visibility=told["visibility"])
        self.send_json({"url": f"{self.server.url}/{repo_id}"})

    def do_PUT(self) -> None:
        data = self.body()
        if hashlib.sha256(data).hexdigest() != self.path.removeprefix("/lfs/"):
            self.refuse(400, "", "another file")
            return
        self.server.objects[etag(data)] = data
        self.send_json({})

    def commit(self, repo_id: str, lines: list[dict[str, Any]]) -> None:
        repo = self.server.repos[repo_id]
        for line in lines:
            value = line["value"]
            if line["key"] == "file":
                repo.files[value["path"]] = base64.b64decode(value["content"])
            elif line["key"] == "lfsFile":
                repo.files[value["path"]] = self.server.objects[value["oid"]]
        told = {"commitOid": COMMIT, "commitUrl": f"{self.server.url}/{repo_id}/commit/{COMMIT}"}
        self.send_json(told | {"success": True})

    def may_read(self, repo_id: str) -> bool:
        granted = self.server.granted and repo_id not in self.server.refused
        return self.headers.get("Authorization") is not None and granted

    def refuse(self, status: int, code: str, message: str) -> None:
        self.send_response(status)
        if code:
            self.send_header("X-Error-Code", code)
        self.send_header("X-Error-Message", message)
        self.send_header("Content-Length", "0")
        self.end_headers()

    def send_json(self, value: object) -> None:
        data = json.dumps(value).encode()
        self.send_response(200)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        self.wfile.write(data)

    def info(self, repo_id: str, repo: Repo) -> dict[str, object]:
        siblings = [
            {"rfilename": name, **self.described(repo, name)} for name in sorted(repo.files)
        ]
        return {
            "id": repo_id,
            "sha": COMMIT,
            "gated": "manual" if repo.gated else False,
            "siblings": [{**s, "blobId": s.pop("oid")} for s in siblings],
            "cardData": {"license": repo.licence} if repo.licence else None,
            **repo.about,
        }

    def tree(self, repo: Repo) -> list[dict[str, object]]:
        return [{"type": "file", "path": name, **self.described(repo, name)} for name in repo.files]

    def described(self, repo: Repo, name: str) -> dict[str, object]:
        data = repo.files[name]
        size = repo.sizes.get(name, len(data))
        described: dict[str, object] = {"size": size, "oid": etag(data)[:40]}
        if len(data) >= LFS_FROM_BYTES:
            digest = etag(data)
            described["lfs"] = {
                "size": size, "sha256": digest, "oid": digest, "pointerSize": 134,
            }  # fmt: skip
        return described

    def send_file(self, repo: Repo, name: str, with_body: bool) -> None:
        if name not in repo.files:
            self.refuse(404, "EntryNotFound", "Entry not found")
            return
        if with_body and self.server.failing_status:
            self.refuse(self.server.failing_status, "", "")
            return
        data = repo.files[name]
        asked = self.headers.get("Range")
        start, end = 0, len(data)
        if asked and not self.server.ignores_ranges:
            first, _, last = asked.removeprefix("bytes=").partition("-")
            start, end = int(first), min(int(last or end) + 1, end)
        self.send_response(206 if start else 200)
        self.send_header("ETag", f'"{etag(data)}"')
        self.send_header("X-Repo-Commit", COMMIT)
        self.send_header("Content-Length", str(end - start))
        if start:
            self.send_header("Content-Range", f"bytes {start}-{end - 1}/{len(data)}")
        self.end_headers()
        if with_body:
            body = data[start:end]
            self.send_body(name, body[::-1] if self.server.damaged else body)

    def send_body(self, name: str, body: bytes) -> None:
        end = len(body)
        if self.server.cut_after is not None and end >= LFS_FROM_BYTES:
            end = min(end, self.server.cut_after)
        for at in range(0, end, PIECE_BYTES):
            piece = body[at : min(at + PIECE_BYTES, end)]
            if len(body) >= LFS_FROM_BYTES and at >= end // 2:
                self.server.hold.wait()
            try:
                self.wfile.write(piece)
            except ConnectionError:
                break
            with self.server.lock:
                self.server.sent[name] = self.server.sent.get(name, 0) + len(piece)
        if end < len(body):
            self.close_connection = True
