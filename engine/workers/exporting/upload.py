"""An export that has passed, to the Hugging Face hub: private unless asked otherwise, resumable."""

from __future__ import annotations

import hashlib
import os
import shutil
from typing import Any

from engine import exports, hub
from engine.errors import RunFailed, UserError
from engine.exports import Export
from engine.runs import Run
from engine.workers.adapters import WEIGHTS

TOKEN = "HF_TOKEN"

CACHE = ".cache"
"""What huggingface_hub keeps in the folder of an upload under way."""
NOTED = "repo"
"""Beside it: where that went. The client's own notes do not say, and would leave out what went elsewhere."""


def check(repo: str | None, dry_run: bool) -> None:
    """Raise UserError where no place is named, or nothing can go there."""
    if not repo or repo.count("/") != 1 or not hub.ID.fullmatch(repo):
        raise UserError("--repo: name where it goes, as ORG/NAME")
    if dry_run:
        return
    if variable := hub.offline():
        raise UserError(f"{variable} forbids to go to the hub; unset it")
    if not os.environ.get(TOKEN):
        raise UserError(f"{TOKEN} is not set; put a token that may write into that variable")


def ready(run: Run, kind: str, step: int | None) -> Export:
    """The export that is to go up. Raises UserError where none has passed."""
    folder = exports.place(run, kind, step)
    weights = run.adapter if step is None else run.checkpoints / f"step-{step}"
    try:
        found = exports.read(folder)
        if found.facts["digest"] != hashlib.sha256((weights / WEIGHTS).read_bytes()).hexdigest():
            raise UserError("of a former adapter")
    except (UserError, OSError):
        raise UserError(
            f"{run.name} has no export {folder.name} of its adapter that passed;"
            f" `ift-tui export {run.name} --to {kind}` makes it"
        ) from None
    return found


def listed(found: Export) -> list[dict[str, Any]]:
    """The files that go up: {"file", "bytes"}."""
    files = sorted(file for file in found.folder.rglob("*") if file.is_file())
    files = [file for file in files if CACHE not in file.relative_to(found.folder).parts]
    return [{"file": str(file.relative_to(found.folder)), "bytes": file.stat().st_size} for file in files]


def upload(found: Export, repo: str, public: bool) -> None:
    """Send it. Raises UserError for a name that is taken otherwise, RunFailed where the hub says no."""
    from huggingface_hub import HfApi
    from huggingface_hub.errors import HfHubHTTPError

    api = HfApi(token=os.environ[TOKEN])
    try:
        api.create_repo(repo, private=not public, exist_ok=True)
        is_private = bool(api.model_info(repo).private)
        if is_private == public:
            state = "private" if is_private else "public"
            raise UserError(
                f"{repo} is there already and is {state}; take another name, or change it on the hub"
            )
        _note(found, repo)
        api.upload_large_folder(
            repo_id=repo,
            repo_type="model",
            folder_path=found.folder,
            ignore_patterns=[f"{CACHE}/**"],
            print_report=False,
        )
        there = set(api.list_repo_files(repo))
    except HfHubHTTPError as error:
        raise _refused(repo, error) from None
    except RuntimeError as error:  # of upload_large_folder, once it has tried several times
        raise _refused(repo, error.__cause__ or error) from None
    except (OSError, ValueError) as error:
        raise RunFailed(
            f"the hub cannot be reached ({type(error).__name__}); what went up stays, asking again goes on"
        ) from None
    if missing := [one["file"] for one in listed(found) if one["file"] not in there]:
        shutil.rmtree(found.folder / CACHE, ignore_errors=True)  # its notes are of a place that is gone
        raise RunFailed(
            f"{repo} lacks {missing[0]}, which had gone up before; the same command sends all of it again"
        )


def _note(found: Export, repo: str) -> None:
    """Forget the client's notes of an upload to another place, and write down this one."""
    noted = found.folder / CACHE / NOTED
    if not noted.is_file() or noted.read_text("utf-8") != repo:
        shutil.rmtree(found.folder / CACHE, ignore_errors=True)
        noted.parent.mkdir(mode=0o700)
        noted.write_text(repo, "utf-8")


def _refused(repo: str, error: BaseException) -> RunFailed:
    said = (str(error).strip().splitlines() or [type(error).__name__])[-1]
    return RunFailed(f"the hub refused {repo}: {said}; what went up stays, the same command goes on")


def planned(found: Export, repo: str, public: bool) -> dict[str, Any]:
    """What goes up, and where."""
    files = listed(found)
    return {"repo": repo, "private": not public, "files": files, "bytes": sum(one["bytes"] for one in files)}
