"""Say what this machine has for training, and what to do about what it has not."""

from __future__ import annotations

import argparse
import asyncio
import dataclasses

from engine import doctor, hardware
from engine.doctor import Finding
from engine.errors import RunFailed
from tui.commands import _ask, _print
from tui.feed import Message

summary = "say what was found here (GPU, packages, 4-bit, disk) and what to do about the rest"

LONGEST_CHECK = 180.0
"""Seconds; a cold import of torch from a network disk takes a minute."""


def arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--json", action="store_true", help="one JSON array")


def run(arguments: argparse.Namespace) -> int:
    findings = [*doctor.examine(), *_settings(), *_four_bit()]
    if arguments.json:
        _print.say_json([dataclasses.asdict(finding) for finding in findings])
    else:
        rows = [(finding.status, finding.name, finding.found) for finding in findings]
        print(_print.table(("", "WHAT", "FOUND"), rows), flush=True)
        mends = [finding for finding in findings if finding.mend]
        if mends:
            _print.say("\nwhat to do")
        for mend in dict.fromkeys(finding.mend for finding in mends):
            about = ", ".join(finding.name for finding in mends if finding.mend == mend)
            _print.say(f"  {about}: {mend}")
    return 1 if any(finding.status == "missing" for finding in findings) else 0


def _settings() -> list[Finding]:
    """The app's settings file: what of it does not hold, and why."""
    from tui import keymap, settings
    from tui.app import IftTui
    from tui.themes import THEMES

    found = settings.load(tuple(THEMES))
    problems = list(found.problems)
    if found.keys:
        problems += keymap.usable(found.keys, keymap.places(IftTui))[1]
    if not problems:
        return [Finding("settings", "ok", str(settings.path()))]
    mend = f"mend {settings.path()}; the usual theme and keys hold where it is wrong"
    return [Finding("settings", "warn", problem, mend) for problem in problems]


def _four_bit() -> list[Finding]:
    if doctor.absent(("torch", "bitsandbytes")):
        return [Finding("4-bit", "missing", "not tried", doctor.install_command())]
    _print.progress("trying 4-bit arithmetic ...")

    async def check(worker: _ask.Conversation) -> Message:
        async with asyncio.timeout(LONGEST_CHECK):
            return await worker.wait("checked")

    try:
        checked = _ask.talk("check", what=check)
    except TimeoutError:
        return [Finding("4-bit", "warn", f"no answer in {LONGEST_CHECK:.0f} s", "try `ift-tui doctor` again")]
    except RunFailed as error:
        return [Finding("4-bit", "missing", str(error), doctor.install_command())]
    return judged(checked, bool(hardware.gpus()))


def judged(checked: Message, has_gpu: bool) -> list[Finding]:
    """What the check worker's answer means on a machine with or without a GPU."""
    if checked["problem"]:
        return [Finding("4-bit", "missing", checked["problem"], doctor.install_command())]
    if has_gpu and not checked["cuda"]:
        mend = "install the CUDA build of torch: run `make clean run` in the source folder"
        return [
            Finding("4-bit", "missing", f"works, but torch {checked['torch']} does not see the GPU", mend)
        ]
    return [Finding("4-bit", "ok", f"works on {checked['device']} (torch {checked['torch']})")]
