"""A hub on this machine: as much of its HTTP API as huggingface_hub's client asks for an upload."""

from __future__ import annotations

import base64
import hashlib
import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

LARGE = ".safetensors"
"""Files that are stored apart, as the hub's .gitattributes has it."""


@dataclass
class Hub:
    """What it holds: repositories with their files, stored objects, and what was asked of it."""

    address: str = ""
    private: dict[str, bool] = field(default_factory=dict)
    files: dict[str, dict[str, bytes]] = field(default_factory=dict)
    objects: dict[str, bytes] = field(default_factory=dict)
    sent: list[str] = field(default_factory=list)
    """sha256 of each object that was sent, as often as it was."""
    tokens: set[str | None] = field(default_factory=set)
    commits: int = 0
    taking: threading.Event = field(default_factory=threading.Event)
    """Cleared: a commit is kept waiting."""
    asked_to_commit: threading.Event = field(default_factory=threading.Event)
    refuses: bool = False


@contextmanager
def hub() -> Iterator[Hub]:
    """One that is up; gone with the block."""
    held = Hub()
    held.taking.set()

    class Handler(BaseHTTPRequestHandler):
        def log_message(self, *_: Any) -> None:
            pass

        def do_GET(self) -> None:
            self._answer(None)

        def do_POST(self) -> None:
            self._answer(self._body())

        def do_PUT(self) -> None:
            content = self._body()
            digest = hashlib.sha256(content).hexdigest()
            held.objects[digest] = content
            held.sent.append(digest)
            self._say(200, {})

        def _body(self) -> bytes:
            return self.rfile.read(int(self.headers.get("Content-Length") or 0))

        def _answer(self, body: bytes | None) -> None:
            held.tokens.add(self.headers.get("Authorization"))
            if held.refuses:
                self._say(403, {"error": "this token may not write"})
                return
            try:
                self._say(200, answer(held, self.path.partition("?")[0], body))
            except KeyError:
                self._say(404, {"error": "not found"})

        def _say(self, status: int, document: Any) -> None:
            text = json.dumps(document).encode()
            try:
                self.send_response(status)
                self.send_header("Content-Type", "application/json")
                self.send_header("Content-Length", str(len(text)))
                self.end_headers()
                self.wfile.write(text)
            except OSError:
                pass  # who asked has been killed

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    held.address = f"http://127.0.0.1:{server.server_address[1]}"
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        yield held
    finally:
        held.taking.set()
        server.shutdown()
        server.server_close()


def answer(held: Hub, path: str, body: bytes | None) -> Any:
    """What the hub says to one request. Raises KeyError for a place that is not there."""
    if path == "/api/repos/create":
        asked = json.loads(body or b"")
        name = f"{asked['organization']}/{asked['name']}"
        held.private.setdefault(name, asked.get("visibility") == "private")
        held.files.setdefault(name, {})
        return {"url": f"{held.address}/{name}"}
    if path == "/api/validate-yaml":
        return {"errors": [], "warnings": []}
    if path.endswith(".git/info/lfs/objects/batch"):
        asked = json.loads(body or b"")
        return {"transfer": "basic", "objects": [stored(held, one) for one in asked["objects"]]}
    name = "/".join(path.removeprefix("/api/models/").split("/")[:2])
    rest = path.removeprefix(f"/api/models/{name}")
    files = held.files[name]
    if rest.startswith("/commits/"):
        return []
    if rest.startswith("/preupload/"):
        asked = json.loads(body or b"")["files"]
        return {
            "files": [
                {
                    "path": one["path"],
                    "uploadMode": "lfs" if one["path"].endswith(LARGE) else "regular",
                    "shouldIgnore": False,
                    "oid": None,
                }
                for one in asked
            ]
        }
    if rest.startswith("/commit/"):
        held.asked_to_commit.set()
        held.taking.wait()
        held.commits += 1
        for line in (body or b"").splitlines():
            entry = json.loads(line)
            if entry["key"] == "file":
                files[entry["value"]["path"]] = base64.b64decode(entry["value"]["content"])
            elif entry["key"] == "lfsFile":
                files[entry["value"]["path"]] = held.objects[entry["value"]["oid"]]
        return {"commitUrl": f"{held.address}/{name}/commit/1", "commitOid": "1", "pullRequestUrl": None}
    siblings = [{"rfilename": file} for file in files]
    return {"id": name, "modelId": name, "private": held.private[name], "siblings": siblings, "tags": []}


def stored(held: Hub, one: dict[str, Any]) -> dict[str, Any]:
    """Where an object is to be sent; nowhere if it is here."""
    known = {"oid": one["oid"], "size": one["size"]}
    if one["oid"] in held.objects:
        return known
    return {**known, "actions": {"upload": {"href": f"{held.address}/objects/{one['oid']}"}}}
