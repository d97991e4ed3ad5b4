"""Instruction-tuned models are recognized in every layout."""

from __future__ import annotations

import json
import shutil

import gguf
import numpy as np
import orbax.checkpoint as ocp
import pytest

import model
from model.checkpoint.instruction import is_instruction_name, is_template
from model.errors import ConfigError
from model.gemma import Gemma
from model.storage import SHIPPED
from tests.model.checkpoint.written import TINY, kaggle_tree, random_weights, write_gguf, write_keras

TEMPLATE = "{{ bos_token }}{% for message in messages %}<start_of_turn>{{ message.role }}{% endfor %}"
OTHER = "{% for message in messages %}<|im_start|>{{ message.role }}{% endfor %}"
BASE_FILES = {
    "no template": {},
    "a null template": {"tokenizer_config.json": json.dumps({"chat_template": None})},
    "a blank template": {"tokenizer_config.json": json.dumps({"chat_template": " "})},
    "no named template": {"tokenizer_config.json": json.dumps({"chat_template": []})},
    "an empty template file": {"chat_template.jinja": "\n"},
    "a null template file": {"chat_template.json": json.dumps({"chat_template": None})},
}
TUNED_FILES = {
    "a template": {"tokenizer_config.json": json.dumps({"chat_template": TEMPLATE})},
    "named templates": {
        "tokenizer_config.json": json.dumps({"chat_template": [{"name": "default", "template": TEMPLATE}]})
    },
    "a template file": {"chat_template.jinja": TEMPLATE},
    "a template file and a null one": {
        "chat_template.jinja": TEMPLATE,
        "tokenizer_config.json": json.dumps({"chat_template": None}),
    },
    "a JSON template file": {"chat_template.json": json.dumps({"chat_template": TEMPLATE})},
}


def flat(tree: dict) -> dict[str, np.ndarray]:
    return {f"{at}/{name}": array for at, arrays in tree.items() for name, array in arrays.items()}


def write(folder, layout: str):
    """A tiny model in a layout, and the paths that name it."""
    weights = random_weights(TINY)
    folder.mkdir(parents=True)
    if layout == "keras":
        write_keras(folder / "model.weights.h5", weights, TINY)
    elif layout == "flax":
        ocp.PyTreeCheckpointer().save(folder / "checkpoint", kaggle_tree(TINY, weights))
        return [folder, folder / "checkpoint"]
    elif layout == "npz":
        np.savez(folder / "weights.npz", **flat(kaggle_tree(TINY, weights)))
    elif layout == "gguf":
        write_gguf(folder / "weights.gguf", weights, TINY, gguf.GGMLQuantizationType.F32)
    else:
        for name in ("config.json", "model.safetensors"):
            shutil.copy(SHIPPED["embedded"] / name, folder)
        stated = json.loads((folder / "config.json").read_text())
        stated.pop("is_instruction_tuned", None)  # as other writers leave it out
        (folder / "config.json").write_text(json.dumps(stated))
    return [folder, *(file for file in folder.iterdir() if file.suffix in (".h5", ".npz", ".gguf", ".safetensors"))]


def is_tuned(path) -> bool:
    return model.checkpoint.read_config(path).is_instruction_tuned


LAYOUTS = ["huggingface", "keras", "flax", "npz", "gguf"]


@pytest.mark.parametrize("layout", LAYOUTS)
def test_every_layout_tells_by_its_template_or_its_name(layout, tmp_path):
    base = write(tmp_path / "codegemma-2b" / "1", layout)
    for name, files in {**BASE_FILES, **TUNED_FILES}.items():
        for file, text in files.items():
            (base[0] / file).write_text(text)
        for path in base if layout != "flax" else base[:1]:
            assert is_tuned(path) is (name in TUNED_FILES), (name, path)
        for file in files:
            (base[0] / file).unlink()
    for name in ("codegemma-7b-it", "code_gemma_instruct_7b_en"):
        for path in write(tmp_path / name / "2", layout)[:1]:
            assert is_tuned(path), path


def test_what_the_config_states_goes_before_names_and_templates(tmp_path):
    folder, _ = write(tmp_path / "codegemma-7b-it", "huggingface")
    stated = json.loads((folder / "config.json").read_text())
    (folder / "config.json").write_text(json.dumps({**stated, "is_instruction_tuned": False}))
    assert not is_tuned(folder)


@pytest.mark.parametrize("template", [TEMPLATE, "", " \n", None])
def test_a_gguf_file_tells_by_the_template_inside(template, tmp_path):
    path = tmp_path / "model.gguf"
    write_gguf(path, random_weights(TINY), TINY, gguf.GGMLQuantizationType.F32, chat_template=template)
    assert is_tuned(path) is (template == TEMPLATE)


@pytest.mark.parametrize("name", ["7b-it", "7b_it.npz", "gemma-it-Q8_0.gguf", "code_gemma_instruct_7b_en", "7B-IT"])
def test_names_of_instruction_models(name):
    assert is_instruction_name(name)


@pytest.mark.parametrize("name", ["2b", "edit", "bit-2b", "italian", "instructor", "with", "iterations-3", ""])
def test_names_of_other_models(name):
    assert not is_instruction_name(name)


@pytest.mark.parametrize("found", [None, "", " ", [], {}, 3, [{"template": None}], ["x"]])
def test_what_is_no_template(found):
    assert not is_template(found)


def test_a_template_of_another_form_is_refused_by_name(tmp_path):
    path = tmp_path / "tiny.gguf"
    write_gguf(path, random_weights(TINY), TINY, gguf.GGMLQuantizationType.F32, chat_template=OTHER)
    with pytest.raises(ConfigError, match=r"tiny\.gguf has a chat template that isn't Gemma's: .* <start_of_turn>"):
        is_tuned(path)
    path.unlink()
    model.save(Gemma(TINY, weights=random_weights(TINY)), tmp_path)
    config = json.loads((tmp_path / "config.json").read_text())
    del config["is_instruction_tuned"]
    (tmp_path / "config.json").write_text(json.dumps(config))
    (tmp_path / "chat_template.jinja").write_text(OTHER)
    with pytest.raises(ConfigError, match=r"chat_template\.jinja has a chat template that isn't Gemma's"):
        is_tuned(tmp_path)
