"""Base models in folders, in the cache, in the catalogue; and the sentence for each way they can be wrong."""

from __future__ import annotations

import json
import struct
import subprocess
import sys
import tomllib
from pathlib import Path
from typing import Any

import pytest

from engine import hub, models, weights
from engine.errors import UserError

WIDTH, INNER, WORDS, LAYERS = 64, 128, 100, 2

CONFIG: dict[str, Any] = {
    "architectures": ["LlamaForCausalLM"],
    "model_type": "llama",
    "hidden_size": WIDTH,
    "intermediate_size": INNER,
    "num_hidden_layers": LAYERS,
    "num_attention_heads": 4,
    "num_key_value_heads": 2,
    "vocab_size": WORDS,
    "max_position_embeddings": 512,
    "tie_word_embeddings": True,
}


def shapes(head: bool = False) -> dict[str, list[int]]:
    """The tensors of a small Llama."""
    tensors = {"model.embed_tokens.weight": [WORDS, WIDTH], "model.norm.weight": [WIDTH]}
    for layer in range(LAYERS):
        block = f"model.layers.{layer}"
        for name, shape in {
            "self_attn.q_proj": [WIDTH, WIDTH],
            "self_attn.k_proj": [WIDTH // 2, WIDTH],
            "self_attn.v_proj": [WIDTH // 2, WIDTH],
            "self_attn.o_proj": [WIDTH, WIDTH],
            "mlp.gate_proj": [INNER, WIDTH],
            "mlp.up_proj": [INNER, WIDTH],
            "mlp.down_proj": [WIDTH, INNER],
            "input_layernorm": [WIDTH],
            "post_attention_layernorm": [WIDTH],
        }.items():
            tensors[f"{block}.{name}.weight"] = shape
    return tensors | ({"lm_head.weight": [WORDS, WIDTH]} if head else {})


def safetensors(tensors: dict[str, list[int]]) -> bytes:
    """A safetensors file of zeros in 16 bits, by the format's own description."""
    header: dict[str, Any] = {"__metadata__": {"format": "pt"}}
    end = 0
    for name, shape in tensors.items():
        size = 2
        for length in shape:
            size *= length
        header[name] = {"dtype": "BF16", "shape": shape, "data_offsets": [end, end + size]}
        end += size
    text = json.dumps(header).encode()
    return struct.pack("<Q", len(text)) + text + bytes(end)


def model(folder: Path, head: bool = False, **config: Any) -> Path:
    """A model folder; None as a value takes a key out of its config."""
    folder.mkdir(parents=True)
    settings = {key: value for key, value in {**CONFIG, **config}.items() if value is not None}
    (folder / "config.json").write_text(json.dumps(settings))
    (folder / "model.safetensors").write_bytes(safetensors(shapes(head)))
    return folder


def refusal(model_id: str | Path) -> str:
    with pytest.raises(UserError) as caught:
        models.describe(str(model_id))
    sentence = str(caught.value)
    assert "\n" not in sentence
    return sentence


LINEAR = LAYERS * (2 * WIDTH * WIDTH + WIDTH * WIDTH + 3 * WIDTH * INNER)
PARAMETERS = LINEAR + WORDS * WIDTH + WIDTH * (2 * LAYERS + 1)


def test_a_folder_is_described_by_its_files(tmp_path: Path) -> None:
    folder = model(tmp_path / "mine")
    (folder / "README.md").write_text("---\nlicense: apache-2.0\n---\n# Mine\n")
    (folder / "tokenizer_config.json").write_text('{"chat_template": "{{ messages }}"}')
    info = models.describe(str(folder))
    assert (info.name, info.origin, info.path) == ("mine", "folder", folder)
    assert (info.parameters, info.context, info.licence) == (PARAMETERS, 512, "apache-2.0")
    assert (info.architecture, info.chat_template) == ("LlamaForCausalLM", True)
    assert info.bytes_16bit == 2 * PARAMETERS
    assert info.bytes_4bit == round(LINEAR * 0.515869140625) + 2 * (PARAMETERS - LINEAR)


def test_a_tied_head_counts_once_and_a_head_of_its_own_twice(tmp_path: Path) -> None:
    tied = models.describe(str(model(tmp_path / "tied", head=True)))
    own = models.describe(str(model(tmp_path / "own", head=True, tie_word_embeddings=False)))
    assert tied.parameters == PARAMETERS
    assert own.parameters == PARAMETERS + WORDS * WIDTH


def test_headers_and_config_agree(tmp_path: Path) -> None:
    for tied in (True, False):
        config = {**CONFIG, "tie_word_embeddings": tied}
        files = weights.shards(model(tmp_path / str(tied), head=not tied))
        assert weights.from_config(config) == weights.counted(files, tied)


def test_weights_stored_in_4_bit_are_counted_by_the_config(tmp_path: Path) -> None:
    folder = model(tmp_path / "packed", quantization_config={"load_in_4bit": True})
    (folder / "model.safetensors").write_bytes(safetensors({"model.layers.0.mlp.up_proj.weight": [8, 1]}))
    assert models.describe(str(folder)).parameters == PARAMETERS


def test_the_bundled_model_is_there_and_small() -> None:
    info = models.describe("builtin:tiny")
    assert (info.origin, info.problem) == ("builtin", "")
    assert info.parameters is not None and 2e6 <= info.parameters <= 5e6
    assert info.path is not None
    assert (info.path / "model.safetensors").stat().st_size <= 8 * 10**6


def test_wrong_names_say_what_a_name_looks_like(tmp_path: Path) -> None:
    assert "no such bundled model" in refusal("builtin:huge") and "builtin:tiny" in refusal("builtin:huge")
    assert "no such model folder" in refusal(tmp_path / "absent")
    assert "org/name" in refusal("gpt-nothing")
    assert "org/name" in refusal("two words/model")
    assert "cannot be a folder" in refusal("/" + "x" * 5000)


def test_a_file_is_not_a_folder(tmp_path: Path) -> None:
    file = tmp_path / "model.gguf"
    file.write_bytes(b"GGUF")
    assert "is a file; give the folder" in refusal(file)


def test_folders_that_are_no_model_say_what_they_are(tmp_path: Path) -> None:
    assert "no config.json" in refusal(tmp_path)
    (tmp_path / "model.gguf").write_bytes(b"GGUF")
    assert "only GGUF files" in refusal(tmp_path)
    (tmp_path / "adapter_config.json").write_text("{}")
    assert "an adapter, not a model" in refusal(tmp_path)


@pytest.mark.parametrize("text", ["", "{", "[1, 2]", "null", "{}", '{"architectures": []}', "\x00\xff"])
def test_a_torn_config_is_named(tmp_path: Path, text: str) -> None:
    folder = model(tmp_path / "torn")
    (folder / "config.json").write_text(text, "latin-1")
    assert str(folder / "config.json") in refusal(folder)


@pytest.mark.parametrize(
    "architecture", ["BertModel", "T5ForConditionalGeneration", "Gemma3ForConditionalGeneration"]
)
def test_other_kinds_of_model_are_refused(tmp_path: Path, architecture: str) -> None:
    folder = model(tmp_path / "other", architectures=[architecture])
    assert f"{architecture} is not a text-only causal language model" in refusal(folder)


def test_weights_that_are_pickles_or_absent_are_refused(tmp_path: Path) -> None:
    folder = model(tmp_path / "pickled")
    (folder / "model.safetensors").rename(folder / "pytorch_model.bin")
    assert "only as pickle" in refusal(folder)
    (folder / "pytorch_model.bin").unlink()
    assert "no weights (model.safetensors)" in refusal(folder)


def test_weights_cut_short_are_refused(tmp_path: Path) -> None:
    folder = model(tmp_path / "cut")
    file = folder / "model.safetensors"
    whole = file.read_bytes()
    for length in (0, 7, 8, 100, len(whole) - 1):
        file.write_bytes(whole[:length])
        assert "not a whole safetensors file" in refusal(folder)
    file.write_bytes(b"\xff" * 64)  # a header longer than the format allows must not be read into memory
    assert "not a whole safetensors file" in refusal(folder)


def test_weights_in_two_files_count_together(tmp_path: Path) -> None:
    folder = model(tmp_path / "sharded")
    (folder / "model.safetensors").unlink()
    names = list(shapes())
    for number, part in enumerate((names[:3], names[3:])):
        tensors = {name: shapes()[name] for name in part}
        (folder / f"model-{number}.safetensors").write_bytes(safetensors(tensors))
    index = {"weight_map": {name: f"model-{int(i >= 3)}.safetensors" for i, name in enumerate(names)}}
    (folder / "model.safetensors.index.json").write_text(json.dumps(index))
    assert models.describe(str(folder)).parameters == PARAMETERS


def test_a_missing_shard_is_named(tmp_path: Path) -> None:
    folder = model(tmp_path / "sharded")
    (folder / "model.safetensors").rename(folder / "model-1.safetensors")
    names = {"weight_map": {"a": "model-1.safetensors", "b": "model-2.safetensors"}}
    (folder / "model.safetensors.index.json").write_text(json.dumps(names))
    assert "1 of 2 weight files are missing (model-2.safetensors)" in refusal(folder)


def test_a_listed_model_carries_its_problem(tmp_path: Path) -> None:
    model(tmp_path / "good")
    (model(tmp_path / "bad") / "model.safetensors").write_bytes(b"torn")
    (tmp_path / "nothing").mkdir()
    found = {info.name: info for info in models.list_models([tmp_path]) if info.origin == "folder"}
    assert found.keys() == {"good", "bad"}
    assert (found["good"].problem, found["good"].parameters) == ("", PARAMETERS)
    assert "not a whole safetensors file" in found["bad"].problem


def cached(model_id: str, revision: str = "abc", **config: Any) -> Path:
    """A model in the cache, in the layout that huggingface_hub writes: blobs, links, refs."""
    repository = hub.home() / f"models--{model_id.replace('/', '--')}"
    snapshot = model(repository / "snapshots" / revision, **config)
    blobs = repository / "blobs"
    blobs.mkdir(exist_ok=True)
    for file in list(snapshot.iterdir()):
        blob = file.rename(blobs / f"{revision}-{file.name}")
        file.symlink_to(Path("../../blobs") / blob.name)
    (repository / "refs").mkdir(exist_ok=True)
    (repository / "refs" / "main").write_text(revision)
    return snapshot


def test_the_cache_is_read_by_its_main_version() -> None:
    main = cached("org/mine", "released")
    newer = cached("org/mine", "tried", max_position_embeddings=1024)
    assert models.locate("org/mine") == newer
    (main.parent.parent / "refs" / "main").write_text("released")
    assert models.locate("org/mine") == main
    assert models.describe("org/mine").origin == "cache"
    listed = [info for info in models.list_models() if info.origin == "cache"]
    assert [(info.id, info.parameters, info.path) for info in listed] == [("org/mine", PARAMETERS, main)]


def test_the_cache_shows_what_can_be_trained_and_the_catalogue_the_rest() -> None:
    known = models.catalogue()[0].id
    cached(known)
    cached("org/encoder", architectures=["BertModel"])
    ids = [info.id for info in models.list_models()]
    assert ids.count(known) == 1
    assert "org/encoder" not in ids
    assert {info.id for info in models.catalogue()} <= set(ids)


def test_a_half_fetched_model_is_not_here_but_its_tokenizer_is() -> None:
    snapshot = cached("org/half")
    (snapshot / "model.safetensors").unlink()
    (snapshot / "tokenizer.json").write_text("{}")
    assert models.locate("org/half") is None
    assert models.tokenizer_folder("org/half") == snapshot
    assert "org/half" not in [info.id for info in models.list_models()]


def test_the_cache_lies_where_the_environment_says(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert hub.home() == tmp_path / "hf" / "hub"
    monkeypatch.setenv("HF_HUB_CACHE", str(tmp_path / "elsewhere"))
    assert hub.home() == tmp_path / "elsewhere"


def test_offline_an_unknown_id_is_one_sentence(monkeypatch: pytest.MonkeyPatch) -> None:
    assert models.locate("org/unknown") is None
    assert models.describe("org/unknown").origin == "hub"
    with pytest.raises(UserError, match=r"org/unknown: not in .* HF_HUB_OFFLINE forbids"):
        models.tokenizer_folder("org/unknown")


def test_the_token_is_in_no_sentence(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HF_TOKEN", "hf_secret")
    monkeypatch.delenv("HF_HUB_OFFLINE")
    monkeypatch.setenv("HF_ENDPOINT", "http://127.0.0.1:9")  # nothing listens there
    done = subprocess.run(
        [sys.executable, "-P", "-c", "from engine import models; models.tokenizer_folder('org/unknown')"],
        capture_output=True,
        text=True,
    )
    assert "org/unknown: not on this machine, and Hugging Face cannot be reached" in done.stderr
    assert "hf_secret" not in done.stderr + done.stdout


def test_a_folder_that_cannot_be_trained_has_no_tokenizer_folder(tmp_path: Path) -> None:
    folder = model(tmp_path / "other", architectures=["BertModel"])
    with pytest.raises(UserError, match="BertModel"):
        models.tokenizer_folder(str(folder))


def test_the_catalogue_counts_right() -> None:
    text = (models.MODELS / "catalogue.toml").read_text("utf-8")
    assert 20 <= text.count("[[models]]") == len(models.catalogue()) <= 30
    ids = [info.id for info in models.catalogue()]
    assert len(set(ids)) == len(ids) and all(hub.ID.fullmatch(name) and "/" in name for name in ids)
    for entry in tomllib.loads(text)["models"]:
        size = weights.from_config(entry["config"])
        assert size is not None and size.parameters == entry["parameters"], entry["id"]


def test_listing_asks_no_library_of_the_hub() -> None:
    code = "import sys; from engine import models; models.list_models(); print(*sys.modules)"
    done = subprocess.run([sys.executable, "-P", "-c", code], capture_output=True, text=True, check=True)
    assert not {"huggingface_hub", "transformers", "torch"} & set(done.stdout.split())
