"""Exports without a model: the verdict on answers, licences and serving, other trainers' files."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import yaml as pyyaml

from engine import exports, models, recipe, render, runs
from engine.errors import RunFailed, UserError
from engine.exports import (
    axolotl,
    curve,
    go_template,
    licences,
    llama_cpp,
    llamafactory,
    ollama,
    pre_tokenizer,
    running,
    script,
    serving,
    sizes,
)
from engine.exports import yaml as written
from engine.exports.parity import Answer, Logits, Side, judged
from engine.render.load import LAYOUTS, layouts
from engine.runs import Run
from engine.schema import Settled
from tests.render_stage import knowing_all, templates

RUN = [Answer([1, 2, 3], [7, 8, 9], True), Answer([1, 4], [5, 5], True), Answer([9], [4] * 6, False)]
NEAR = [Logits(0.01, 5.0, 5.0)] * 3
SIDE = Side(frozenset({2}), "bfloat16")


def verdict(export: list[Answer], logits: list[Logits] = NEAR, side: Side = SIDE, bar: float = 1.0) -> dict:
    return judged(RUN, export, logits, (SIDE, side), bar)


def test_the_same_answers_pass() -> None:
    found = verdict(RUN)
    assert found["passed"] and found["share"] == 1 and found["identical"] == 3 and found["first"] is None
    assert found["tokens"] == 4 + 3 + 6 and found["ended"] == {"run": 2, "export": 2, "missed": 0}
    assert found["differs"] == []


def test_one_other_token_is_found_and_counted_to_the_end_of_its_answer() -> None:
    other = [RUN[0], RUN[1], replace(RUN[2], ids=[4, 4, 1, 4, 4, 4])]
    found = verdict(other)
    assert not found["passed"] and found["agreed"] == 4 + 3 + 2
    assert found["first"] == {"row": 2, "token": 2, "run": 4, "export": 1}
    assert verdict(other, bar=0.65)["passed"] and not verdict(other, bar=0.70)["passed"]


def test_another_prompt_fails_whatever_is_answered() -> None:
    found = verdict([replace(RUN[0], prompt=[1, 2]), *RUN[1:]])
    assert found["share"] == 1 and not found["passed"]
    assert found["differs"][0].startswith("template: 1 of 3 prompts")


def test_an_end_that_is_missed_fails_at_any_bar() -> None:
    goes_on = [replace(RUN[0], ids=[7, 8, 9, 2, 7], ended=False), *RUN[1:]]
    found = verdict(goes_on, side=Side(frozenset({5}), "bfloat16"), bar=0.1)
    assert found["ended"]["missed"] == 1 and not found["passed"]
    assert found["differs"][0] == (
        "stop token: the run ends at 2, which does not stop the export (it stops at 5)"
    )


def test_the_base_is_known_by_its_logits() -> None:
    base = [Answer(one.prompt, [3], False) for one in RUN]
    found = verdict(base, [Logits(5.0, 0.0, 5.0)] * 3)
    assert found["differs"] == [
        "weights not merged: its first logits are nearer to the base model's than to the run's"
    ]
    assert (
        "dtype: it computes in float16, not in bfloat16"
        in verdict(base, side=Side(frozenset({2}), "float16"))["differs"]
    )


def test_kinds_are_known_by_name() -> None:
    assert exports.kinds("adapter, merged,adapter") == ["adapter", "merged"]
    for wrong in ("adapter,zip", "", ","):
        with pytest.raises(UserError, match="--to"):
            exports.kinds(wrong)


def test_vllm_is_told_of_beforehand() -> None:
    config = {"r": 16, "lora_alpha": 32, "bias": "none", "modules_to_save": None, "use_dora": False}
    assert serving.refused(config) == [] and serving.options(config) == "--enable-lora"
    assert serving.options({**config, "r": 24}) == "--enable-lora --max-lora-rank 32"
    assert serving.options(config, four_bit=True) == "--quantization bitsandbytes --enable-lora"
    for change in ({"use_dora": True}, {"modules_to_save": ["lm_head"]}, {"bias": "all"}, {"r": 1024}):
        assert len(serving.refused({**config, **change})) == 1


FOUR_BIT = {"load_in_4bit": True, "bnb_4bit_quant_type": "nf4", "bnb_4bit_compute_dtype": "bfloat16"}


@pytest.mark.parametrize("quantization", [None, FOUR_BIT])
def test_an_adapter_is_asked_on_its_base_as_it_was_trained_on_it(quantization: dict[str, Any] | None) -> None:
    made_with = {"dtype": "bfloat16", "quantization": quantization}
    for kind, public in (("adapter", True), ("adapter", False), ("merged", False)):
        groups = running.statements(kind, "org/base", public, made_with)
        said, own = running.lines(groups), running.program(groups, "base")
        compile("\n".join(said), "card", "exec")
        compile(own, running.PROGRAM, "exec")
        assert len(said) == 4
        four_bit = kind == "adapter" and quantization is not None
        assert ("load_in_4bit=True" in own) == ("bitsandbytes" in own) == four_bit
        assert ('"org/base"' in own) == (kind == "adapter" and public)
        assert ('os.environ["BASE"]' in own) == (kind == "adapter" and not public)
        assert '"FOLDER"' not in own and "sys.argv" in own


@pytest.mark.parametrize(
    ("name", "word"),
    [
        ("apache-2.0", "NOTICE"),
        ("llama3.2", "Built with Llama"),
        ("gemma", "prohibited use"),
        ("cc-by-nc-4.0", "No commercial"),
        ("cc0-1.0", "public domain"),
        ("something-else", "read it"),
    ],
)
def test_a_licence_says_what_it_asks(name: str, word: str) -> None:
    assert any(word in one for one in licences.asks(name))


@pytest.mark.slow
def test_the_script_need_not_say_in_which_order_the_rows_come() -> None:
    """accelerate's sampler, which a trainer with that seed takes, draws an epoch's order as the run does."""
    from accelerate.data_loader import SeedableRandomSampler

    from engine.workers import order

    sampler = SeedableRandomSampler(range(50), data_seed=7)
    for epoch in (0, 1, 2, 5):
        sampler.set_epoch(epoch)
        assert list(sampler) == order.of_epoch(50, 8, 7, epoch)


def test_what_a_licence_asks_to_be_shown_is_shown() -> None:
    assert licences.shown("llama3.2") == "Built with Llama." and licences.shown("mit") == ""
    assert "ai.google.dev/gemma/terms" in licences.shown("gemma") and licences.shown("unheard-of") == ""


def test_two_files_of_one_name_have_the_folder_that_tells_them_apart() -> None:
    from engine.workers.exporting import about

    files = [Path("/home/me/a/x/train.jsonl"), Path("/home/me/b/x/train.jsonl"), Path("/home/me/other.csv")]
    assert about.bare_names(files) == ["a/x/train.jsonl", "b/x/train.jsonl", "other.csv"]
    assert about.bare_names([files[0], files[0]]) == ["train.jsonl"] * 2


def test_the_curve_leaves_out_what_is_no_number() -> None:
    drawn = curve.svg([(step, 3 / step) for step in range(1, 2000)] + [(2000, float("nan"))], [(1000, 0.5)])
    assert drawn.startswith("<svg") and "nan" not in drawn and len(drawn) < 12_000
    assert drawn.count("<circle") == 1 and curve.svg([], []) == ""


PLAN = Settled(batch_size=2, gradient_accumulation=3, learning_rate=2e-5, schedule="linear", steps=7)


def test_other_trainers_files_are_yaml_with_the_runs_values() -> None:
    plan = recipe.load("first-steps")
    made = pyyaml.safe_load(axolotl.text(plan, PLAN, 7, "org/base", "{{ x }}\n'\"", ["v_proj"], ["so"]))
    assert made["base_model"] == "org/base" and made["learning_rate"] == 2e-5 and made["max_steps"] == 7
    assert made["datasets"] == [{"path": "rows.jsonl", "ds_type": "json", "type": None}]
    assert made["micro_batch_size"] * made["gradient_accumulation_steps"] == 6
    assert made["chat_template_jinja"] == "{{ x }}\n'\"" and made["adapter"] == "qlora"
    text = llamafactory.text(plan, PLAN, 7, "org/base", ["v_proj", "q_proj"], ["the run was told so"])
    assert "# - the run was told so\n" in text
    made = pyyaml.safe_load(text)
    assert made["lora_target"] == "q_proj,v_proj" and made["lr_scheduler_type"] == "linear"
    assert made["dataset"] in json.loads(llamafactory.info(plan))


def test_yaml_of_strange_values_reads_back() -> None:
    values = {
        "a": None,
        "b": [1, "two: #3", True],
        "c": [{"d": None, "e": "\ue000\n"}],
        "f": 1e-08,
        "g": "no",
    }
    assert pyyaml.safe_load(written.text(values, ["a # b"])) == values


def test_the_script_is_python_and_says_what_it_cannot() -> None:
    text = script.text(recipe.load("first-steps"), PLAN, 7, "org/base", (), {"trl": "1.2+cpu"}, ["not that"])
    compile(text, "train.py", "exec")
    assert text.count("\n") < 90
    assert "\n- not that\n" in text and "trl==1.2\n" in text and "target_modules='all-linear'" in text
    assert "import engine" not in text and "ift" not in text


@pytest.fixture(scope="module")
def tokenizer(tmp_path_factory: pytest.TempPathFactory) -> render.ChatFormat:
    """A tokenizer that knows the control tokens of all templates."""
    folder = tmp_path_factory.mktemp("all") / "tokenizer"
    knowing_all(folder)
    return render.load(folder)


TRANSLATED = ("chatml", "llama-3", "gemma", "zephyr", "mistral", "alpaca", "vicuna")
"""Families that must come out, by parts of the names under which trl and unsloth carry them."""


def test_templates_of_many_families_become_go_and_write_the_same(tokenizer: render.ChatFormat) -> None:
    done, refused = [], {}
    for name, source in templates().items():
        chat = replace(tokenizer, template=source)
        try:
            made = ollama.template(chat)
        except UserError as error:
            refused[name] = str(error)
            continue
        assert ollama.differing(chat, made) == 0, name
        done.append(name)
    for family in TRANSLATED:
        assert any(family in name for name in done), (family, refused)
    assert all("export gguf instead" in why for why in refused.values())


@pytest.mark.parametrize("layout", layouts())
def test_the_shipped_layouts_become_go(layout: str, tokenizer: render.ChatFormat) -> None:
    chat = replace(tokenizer, template=(LAYOUTS / f"{layout}.jinja").read_text("utf-8"))
    made = ollama.parts(ollama.modelfile(chat, "./model", 512, "mit"))
    assert made["FROM"] == ["./model"] and made["LICENSE"] == ["mit"]
    said = go_template.rendered(made["TEMPLATE"][0], "", [{"role": "user", "content": "Hello"}])
    assert said.endswith(chat.prompt([{"role": "user", "content": "Hello"}]))


def test_go_that_writes_otherwise_is_told(tokenizer: render.ChatFormat) -> None:
    made = ollama.template(tokenizer)
    assert ollama.differing(tokenizer, made.replace("<|im_end|>", "<|im_end>")) == len(ollama.SAMPLES)
    assert ollama.differing(tokenizer, made.replace("{{ .System }}", "")) == 2
    for wrong in ("{{ if .System }}", "{{ end }}", "{{ .System | upper }}"):
        with pytest.raises(ValueError):
            go_template.rendered(wrong, "x", [])


def test_a_tokenizers_way_of_cutting_is_named_or_not() -> None:
    gpt2 = {"type": "ByteLevel", "add_prefix_space": False, "use_regex": True}
    digits = {"type": "Digits", "individual_digits": True}
    own = json.loads((models.MODELS / "tiny" / "tokenizer.json").read_text("utf-8"))["pre_tokenizer"]
    assert pre_tokenizer.named(own) == "smollm" and pre_tokenizer.named(gpt2) == "gpt-2"
    pattern = next(one for one, name in pre_tokenizer.PATTERNS.items() if name == "qwen2")
    split = {"type": "Split", "pattern": {"Regex": pattern}, "behavior": "Isolated", "invert": False}

    def after(*steps: dict[str, Any]) -> str | None:
        return pre_tokenizer.named({"type": "Sequence", "pretokenizers": list(steps)})

    assert after(split, {**gpt2, "use_regex": False}) == "qwen2"
    for other in ([digits, {**gpt2, "add_prefix_space": True}], [split, gpt2], [digits, digits, gpt2]):
        assert after(*other) is None
    assert pre_tokenizer.named(None) is None


KNOWS_NO_HASH = """
class TextModel:
    def get_vocab_base_pre(self, tokenizer):
        raise NotImplementedError("BPE pre-tokenizer was not recognized - update get_vocab_base_pre()")
"""

ASKS_FOR_ONE = """
sys.path.insert(0, __file__.rpartition("/")[0])
from conversion.base import TextModel


def main():
    words = sys.argv[1:]
    said = TextModel().get_vocab_base_pre(None)
    open(words[words.index("--outfile") + 1], "wb").write(b"GGUF" + said.encode())


if __name__ == "__main__":
    main()
"""


def test_a_tokenizer_that_the_converter_does_not_know_is_named_to_it(checkout: Path, tmp_path: Path) -> None:
    from engine.workers.exporting import gguf

    (checkout / "conversion").mkdir()
    (checkout / "conversion" / "__init__.py").touch()
    (checkout / "conversion" / "base.py").write_text(KNOWS_NO_HASH)
    stand_in(checkout, llama_cpp.CONVERT, ASKS_FOR_ONE)
    tools, base, out = llama_cpp.found(checkout), models.MODELS / "tiny", tmp_path / "out"
    out.mkdir()
    notes = gguf.fill(
        tools, ["q4_k_m", "q8_0"], base, base, base, out, lambda: False, (base, out / llama_cpp.BASE)
    )
    assert sorted(file.name for file in out.iterdir()) == [
        "base-f16.gguf", "model-q4_k_m.gguf", "model-q8_0.gguf",
    ]  # fmt: skip
    assert (out / "model-q4_k_m.gguf").read_bytes() == b"GGUFsmollmQ4_K_M"
    assert len(notes) == 1 and "marked as smollm" in notes[0]
    (tmp_path / "tokenizer.json").write_text('{"pre_tokenizer": null}')
    with pytest.raises(RunFailed, match="no way to cut text"):
        gguf.fill(tools, ["f16"], tmp_path, base, base, out, lambda: False)


def test_pieces_keep_the_order_of_their_merges(tmp_path: Path) -> None:
    """llama.cpp joins by scores, the tokenizer by the places of merges."""
    from engine.workers.exporting import converter, gguf

    vocab = {piece: number for number, piece in enumerate(["a", "b", "c", "ab", "bc", "abc", "x"])}
    for merges in (["b c", "a b", "a bc", "ab c"], [["b", "c"], ["a", "b"], ["a", "bc"], ["ab", "c"]]):
        document = {"model": {"type": "BPE", "byte_fallback": True, "vocab": vocab, "merges": merges}}
        (tmp_path / "tokenizer.json").write_text(json.dumps(document))
        assert converter.scores(tmp_path / "tokenizer.json") == {4: 0, 3: -1, 5: -2}
        assert gguf._loses_merges(tmp_path)
    (tmp_path / "tokenizer.model").touch()
    assert not gguf._loses_merges(tmp_path) and not gguf._loses_merges(models.MODELS / "tiny")


def stand_in(folder: Path, name: str, body: str) -> None:
    """A script of our own in the place of one of llama.cpp's programs."""
    folder.mkdir(parents=True, exist_ok=True)
    head = f"#!{sys.executable}\nimport sys\nwords = sys.argv[1:]\n"
    (folder / name).write_text(head + body)
    (folder / name).chmod(0o755)


WRITES = "open(words[words.index('--outfile') + 1], 'wb').write(b'GGUF' + repr(words).encode())\n"


@pytest.fixture
def checkout(tmp_path: Path) -> Path:
    """A folder laid out as llama.cpp's own, built."""
    folder = tmp_path / "llama.cpp"
    stand_in(folder, llama_cpp.CONVERT, WRITES)
    stand_in(folder, llama_cpp.CONVERT_LORA, WRITES)
    stand_in(
        folder / "build" / "bin",
        llama_cpp.QUANTIZE,
        "open(words[1], 'wb').write(open(words[0], 'rb').read() + words[2].encode())\n",
    )
    return folder


def test_gguf_is_made_by_llama_cpps_own_words(checkout: Path, tmp_path: Path) -> None:
    from engine.workers.exporting import gguf

    tools = llama_cpp.found(checkout)
    types = llama_cpp.types("f16,q8_0,q4_k_m,lora")
    llama_cpp.check(tools, types)
    out = tmp_path / "out"
    out.mkdir()
    gguf.fill(tools, types, tmp_path / "merged", tmp_path / "adapter", tmp_path / "base", out, lambda: False)
    assert sorted(file.name for file in out.iterdir()) == [
        "adapter-lora.gguf", "model-f16.gguf", "model-q4_k_m.gguf", "model-q8_0.gguf",
    ]  # fmt: skip
    assert b"'--outtype', 'q8_0'" in (out / "model-q8_0.gguf").read_bytes()
    assert (out / "model-q4_k_m.gguf").read_bytes().endswith(b"Q4_K_M")
    assert b"'--base', " in (out / "adapter-lora.gguf").read_bytes()


def test_what_llama_cpp_lacks_is_said(
    checkout: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from engine.workers.exporting import gguf

    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.delenv(llama_cpp.VARIABLE, raising=False)
    with pytest.raises(UserError, match="git clone"):
        llama_cpp.check(llama_cpp.found(), ["f16"])
    with pytest.raises(UserError, match="own folder"):
        llama_cpp.found(tmp_path)
    monkeypatch.setenv(llama_cpp.VARIABLE, str(checkout))
    (checkout / "build" / "bin" / llama_cpp.QUANTIZE).unlink()
    tools = llama_cpp.found()
    with pytest.raises(UserError, match="llama-quantize is not there"):
        llama_cpp.check(tools, ["q4_k_m"])
    for body, word in (
        ("sys.exit('no such model type')\n", "no such model type"),
        ("pass\n", "no GGUF file"),
    ):
        stand_in(checkout, llama_cpp.CONVERT, body)
        with pytest.raises(RunFailed, match=word):
            gguf.fill(tools, ["f16"], tmp_path, None, tmp_path, tmp_path, lambda: False)


def fill(status: str) -> Callable[[Path], dict[str, Any]]:
    def filled(folder: Path) -> dict[str, Any]:
        (folder / "below").mkdir()
        (folder / "below" / "file").write_text("file")
        return {"status": status, "kind": "merged"}

    return filled


def test_an_export_stands_whole_under_its_name_or_as_failed(tmp_path: Path) -> None:
    from engine.workers.exporting.placing import placed

    target = tmp_path / "exports" / "merged"
    folder, facts = placed(target, fill("passed"))
    assert folder == target and facts["bytes"] == 4 and facts["files"] == {"below/file": 4}
    failed, _ = placed(target, fill("failed"))
    assert failed.name == "merged.failed" and exports.read(target).status == "passed"
    assert [one.status for one in exports.listed(Run(tmp_path))] == ["passed", "failed"]
    placed(target, fill("not checked"))
    assert [one.folder.name for one in exports.listed(Run(tmp_path))] == ["merged"]


def test_what_is_cancelled_leaves_nothing_and_takes_nothing(tmp_path: Path) -> None:
    from engine.workers.exporting.placing import placed
    from engine.workers.io import Stopped

    target = tmp_path / "merged"
    placed(target, fill("passed"))

    def cancelled(folder: Path) -> dict[str, Any]:
        (folder / "half").write_text("x")
        raise Stopped("cancelled")

    with pytest.raises(Stopped):
        placed(target, cancelled)
    assert [path.name for path in tmp_path.iterdir()] == ["merged"]
    assert exports.read(target).status == "passed"


def test_a_wish_to_end_waits_until_the_new_one_stands_for_the_former(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from engine.workers import durable
    from engine.workers.exporting import placing
    from engine.workers.io import Stopped

    def end(*_: object) -> None:
        raise Stopped("cancelled")

    remove = durable.remove

    def removed(path: Path) -> None:
        remove(path)
        signal.raise_signal(signal.SIGTERM)

    target = tmp_path / "merged"
    placing.placed(target, fill("passed"))
    before = signal.signal(signal.SIGTERM, end)
    monkeypatch.setattr(durable, "remove", removed)
    try:
        with pytest.raises(Stopped):
            placing.placed(target, fill("not checked"))
    finally:
        signal.signal(signal.SIGTERM, before)
    assert exports.read(target).status == "not checked" and [*tmp_path.iterdir()] == [target]


@pytest.mark.slow
def test_a_cancel_does_not_wait_for_libraries_to_load(home: Path) -> None:
    """A run without an adapter: had it been waited for, that would be said."""
    run = runs.create(recipe.load("first-steps"))
    done = subprocess.run(
        [sys.executable, "-P", "-m", "engine.workers.export", str(run.path), "--to", "adapter"],
        input='{"do": "cancel"}\n',
        capture_output=True,
        text=True,
    )
    said = json.loads(done.stdout.splitlines()[-1])
    assert done.returncode == 1 and said["message"].startswith("cancelled; nothing half written"), done.stderr
    assert not exports.listed(run)


def test_a_disk_that_fills_up_is_a_sentence_and_leaves_nothing(tmp_path: Path) -> None:
    """/dev/full refuses what is written to it, as a full disk does."""
    from engine.workers import export
    from engine.workers.exporting.placing import placed

    def filled(folder: Path) -> dict[str, Any]:
        (folder / "whole").write_text("x")
        (folder / "model.safetensors").symlink_to("/dev/full")
        (folder / "model.safetensors").write_bytes(b"x")
        return {"status": "passed"}

    placed(tmp_path / "merged", fill("passed"))
    with pytest.raises(OSError) as caught:
        placed(tmp_path / "merged", filled)
    assert str(export.unforeseen(caught.value)).startswith("the disk is full; nothing half written was left")
    assert [path.name for path in tmp_path.iterdir()] == ["merged"]
    assert exports.read(tmp_path / "merged").status == "passed"
    assert "memory ran out" in str(export.unforeseen(MemoryError()))
    assert str(export.unforeseen(ValueError("odd\nmore"))).startswith("ValueError: odd; nothing half")


def test_a_folder_with_something_else_is_left_alone(tmp_path: Path) -> None:
    from engine.workers.exporting.placing import placed

    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "thesis.txt").write_text("x")
    with pytest.raises(UserError, match="something else"):
        placed(tmp_path / "mine", fill("passed"))
    with pytest.raises(UserError, match="is a file"):
        placed(tmp_path / "mine" / "thesis.txt", fill("passed"))


def test_the_disk_is_asked_before(tmp_path: Path) -> None:
    sizes.check_room(tmp_path / "new" / "er", 1)
    with pytest.raises(UserError, match="nothing was written; free some space"):
        sizes.check_room(tmp_path / "new" / "er", 10**18)


def test_the_light_half_of_exports_loads_nothing_heavy() -> None:
    code = "from engine.exports import card, ollama, sizes, script; import sys; print(' '.join(sys.modules))"
    done = subprocess.run([sys.executable, "-P", "-c", code], capture_output=True, text=True, check=True)
    assert not {"torch", "transformers", "numpy", "peft", "textual", "rich", "tui"} & set(done.stdout.split())


MENDED = {
    "trl qwen3": "enable_thinking = false",
    "unsloth vicuna": '{{ " " }}',
    "trl gptoss": "<|channel|>final<|message|>",
    "trl glm4moe": "<think></think>",
}
"""Templates whose generation prompt is not what stood before the answers in training, and what mends that."""


@pytest.mark.parametrize("name", MENDED)
def test_an_exported_template_asks_with_what_stood_before_the_answers(
    name: str, tokenizer: render.ChatFormat
) -> None:
    from engine.workers.exporting import parts

    chat = replace(tokenizer, template=templates()[name])
    mended = parts.asking(chat)
    assert MENDED[name] in mended.template.replace(chat.template.removesuffix("\n"), "")
    for sample in ollama.SAMPLES[:1] + ollama.SAMPLES[2:3]:
        messages: Any = [{"role": role, "content": text} for role, text in sample]
        assert mended.written(messages, asking=True)[0] == chat.prompt(messages)
        assert mended.written(messages)[0] == chat.written(messages)[0]


@pytest.mark.parametrize("status", ["\x1b[2Jpassed", "PASSED", ["passed"], None, 1])
def test_a_word_that_is_no_outcome_is_no_check(tmp_path: Path, status: object) -> None:
    (tmp_path / exports.FILE).write_text(json.dumps({"kind": "adapter", "status": status}), "utf-8")
    assert exports.read(tmp_path).status == "not checked"
