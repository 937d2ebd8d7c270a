"""An export that has passed, to the Hugging Face hub: private unless asked otherwise, resumable."""

from __future__ import annotations

import os
from typing import Any

from engine import exports, hub
from engine.errors import RunFailed, UserError
from engine.exports import Export
from engine.runs import Run
from engine.workers import adapters

TOKEN = "HF_TOKEN"

CACHE = ".cache"
"""What versions of huggingface_hub kept in the folder of an upload under way; it is no part of the export."""


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
    try:
        found = exports.read(folder)
        if found.facts["digest"] != adapters.digest(adapters.files(adapters.place(run, step))):
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
        # In one commit, at its end: what had arrived of an upload that broke off is not asked for again.
        api.upload_folder(
            repo_id=repo,
            folder_path=found.folder,
            ignore_patterns=[f"{CACHE}/**"],
            commit_message=f"Add {found.folder.name} of {found.facts['run']}",
        )
        there = {one.rfilename for one in api.model_info(repo).siblings or ()}
    except HfHubHTTPError as error:
        said = (str(error).strip().splitlines() or [type(error).__name__])[-1]
        raise RunFailed(
            f"the hub refused {repo}: {said}; what went up stays, the same command goes on"
        ) from None
    except (OSError, ValueError) as error:
        raise RunFailed(
            f"the hub cannot be reached ({type(error).__name__}); what went up stays, asking again goes on"
        ) from None
    if missing := [one["file"] for one in listed(found) if one["file"] not in there]:
        raise RunFailed(f"{repo} lacks {missing[0]} after the upload; the same command sends it again")


def planned(found: Export, repo: str, public: bool) -> dict[str, Any]:
    """What goes up, and where."""
    files = listed(found)
    return {"repo": repo, "private": not public, "files": files, "bytes": sum(one["bytes"] for one in files)}
