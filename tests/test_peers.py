"""Other programs load what the stages write, and answer as we do, token by token, in 32 bits.

    pip install -e '.[peers]'; pip install --no-deps onnxruntime-genai==0.18.0

A token that differs must be a tie: it is printed with the margin of the model's two best logits.
"""

import json
import re
import urllib.request
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from transformers import AutoModelForCausalLM, AutoTokenizer, pipeline

from lmspec import stage
from lmspec.architectures import adapters, causal
from lmspec.formats import conversations, writer
from lmspec.specs.exported import ExportedSpec
from lmspec.specs.numerics import Machine
from lmspec.training import seeds
from lmspec.writing import fidelity
from lmspec.writing.generating import Ids
from lmspec.writing.prompting import Turn
from lmspec.writing.torchdecoder import TorchDecoder
from stages import exported, sources
from tests import smollm2
from tests.killing import LORA
from tests.test_training import NUMERICS
from tests.tinywriter import PAIR, Turns, pairs, spec_of, write_split, write_weights

ROOT = Path(__file__).parent.parent
PROMPTS, NEW_TOKENS, LONGEST, MAX_PAST = 64, 12, 96, 128
TIE = 1e-3  # between two logits
pytestmark = pytest.mark.slow
Answers = list[list[int]]


@dataclass(frozen=True)
class Project:
    """Folders model, graph and gguf of one model, what it is asked, and what it answers to us."""

    root: Path
    source: writer.WriterModel
    turns: Sequence[Sequence[Turn]]
    prompts: Sequence[Ids]
    answers: Answers

    def require_alike(self, peer: str, theirs: Answers) -> None:
        """Print how many answers are the same; fail if one differs that is no tie."""
        end, decoder = self.source.writer.end_id, TorchDecoder(self.source.model)
        parted = []
        for ids, one, other in zip(self.prompts, self.answers, theirs, strict=True):
            # a program may leave out the end itself
            one, other = ([*(i for i in each if i != end), end] for each in (one, other))
            one, other = one[:NEW_TOKENS], other[:NEW_TOKENS]
            if one == other:
                continue
            place = fidelity.common(one, other)
            before = np.concatenate([ids, np.array(one[:place], np.int64)])
            logits = next(iter(decoder.logits([before])))[-1]
            margin = float(logits[one[place]] - logits[other[place]])
            parted.append(margin)
            name = self.source.tokenizer.id_to_token
            print(
                f"{peer}: token {place + 1} is {name(other[place])!r} in place of"
                f" {name(one[place])!r}, a margin of {margin:.2g}"
            )
        print(f"{peer}: {len(theirs) - len(parted)} of {len(theirs)} answers are ours")
        assert len(theirs) == PROMPTS and all(0 <= margin < TIE for margin in parted), parted


@pytest.fixture(scope="module", params=["tiny", "smollm2"])
def project(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Project:
    """A random model whose answers vary, and one that people use."""
    root = tmp_path_factory.mktemp(request.param)
    if request.param == "tiny":
        write_weights(root / "source", tied=False)
        rows = [row for row in pairs() if len(row[0][1]) < 60]
    else:
        (root / "source").mkdir()
        wheel = smollm2.WHEEL.model_copy(update={"convert": "gguf"})
        sources.build(wheel, stage.Needs({}, None, Machine(device="cpu"), root), root / "source")
        rows = paragraphs()
    model, words, pad_id, _ = causal.create(spec_of(max_length=LONGEST), root / "source")
    (root / "model").mkdir()
    own = writer.WriterModel(model, words, pad_id, PAIR, LONGEST, "leave_out", {})
    writer.write(own, root / "model")
    source = writer.read(root / "model")
    fitting = [row for row in rows if len(source.writer.prompt_ids(row)) <= LONGEST - NEW_TOKENS]
    write_split(fitting[:PROMPTS], root / "splits", "dev")
    for name, form in (
        ("graph", {"kind": "cache", "max_past": MAX_PAST, "prompts": "splits.a"}),
        ("gguf", {"kind": "gguf", "weights": "f32", "prompts": "splits.a"}),
    ):
        export(root, name, form)
    turns = [row[:-1] for row in conversations.read_turns(root / "splits", "dev")]
    prompts = [source.writer.prompt_ids(row) for row in turns]
    decoder, end = TorchDecoder(source.model), source.writer.end_id
    answers = fidelity.greedy(decoder, prompts, end, NEW_TOKENS)
    assert len({tuple(answer) for answer in answers}) > PROMPTS / 4  # they are no constant
    return Project(root, source, turns, prompts, answers)


def paragraphs() -> list[Turns]:
    """First halves of paragraphs of the documentation, and how they go on."""
    texts = [path.read_text() for path in sorted((ROOT / "docs").glob("*.md"))]
    parts = [" ".join(part.split()) for part in "\n\n".join(texts).split("\n\n")]
    plain = [part for part in parts if re.match("[A-Z]", part) and 150 < len(part) < 350]
    halves = [(part[: part.index(" ", len(part) // 2)], part) for part in plain]
    return [
        [("user", f"Go on: {one}"), ("assistant", whole[len(one) + 1 :])] for one, whole in halves
    ]


def export(root: Path, name: str, form: Any) -> None:
    opset = {"opset": 20} if form["kind"] == "cache" else {}
    fields = {"of": "model.a", "max_logit_difference": 1e-3, "format": form} | opset
    folders = {"model.a": root / "model", "splits.a": root / "splits"}
    (root / name).mkdir()
    needs = stage.Needs(folders, NUMERICS, Machine(device="cpu"))
    exported.build(ExportedSpec.model_validate(fields), needs, root / name)


def test_transformers_loads_the_model(project: Project) -> None:
    """As a pipeline, with the template that is in its folder."""
    words = AutoTokenizer.from_pretrained(project.root / "model")
    model = AutoModelForCausalLM.from_pretrained(project.root / "model", dtype=torch.float32)
    pipe = pipeline("text-generation", model=model, tokenizer=words)
    theirs = []
    for turns, prompt in zip(project.turns, project.prompts, strict=True):
        chat = [{"role": role, "content": content} for role, content in turns]
        given = {"max_new_tokens": NEW_TOKENS, "do_sample": False, "return_tensors": True}
        ids = pipe(chat, **given)[0]["generated_token_ids"]
        assert ids[: len(prompt)] == prompt.tolist()
        theirs.append(ids[len(prompt) :])
        own = project.source.writer.text(theirs[-1])
        assert words.decode(theirs[-1], skip_special_tokens=True) == own
    project.require_alike("transformers", theirs)


def test_llama_cpp_loads_the_gguf(project: Project) -> None:
    """With its own template engine and tokenizer: messages in, our tokens out."""
    llama = pytest.importorskip("xllamacpp", reason="pip install -e '.[peers]'")
    params = llama.CommonParams()
    params.model.path = str(project.root / "gguf/model.gguf")
    params.n_ctx, params.n_parallel, params.warmup, params.verbosity = MAX_PAST, 1, False, -1
    params.cpuparams.n_threads = params.cpuparams_batch.n_threads = 1
    params.cache_type_k = params.cache_type_v = llama.ggml_type.GGML_TYPE_F32
    attention = llama.llama_flash_attn_type
    params.flash_attn_type = attention.LLAMA_FLASH_ATTN_TYPE_DISABLED
    server = llama.Server(params)

    def ask(path: str, **fields: Any) -> Any:
        body, kind = json.dumps(fields).encode(), {"Content-Type": "application/json"}
        request = urllib.request.Request(f"{server.listening_address}/{path}", body, kind)
        with urllib.request.urlopen(request) as answer:
            return json.load(answer)

    theirs = []
    for turns, prompt in zip(project.turns, project.prompts, strict=True):
        chat = [{"role": role, "content": content} for role, content in turns]
        text = ask("apply-template", messages=chat)["prompt"]
        ids = ask("tokenize", content=text, add_special=True, parse_special=True)["tokens"]
        assert ids == prompt.tolist(), text
        given = {"n_predict": NEW_TOKENS, "temperature": 0, "cache_prompt": False}
        theirs.append(ask("completion", prompt=ids, return_tokens=True, **given)["tokens"])
    project.require_alike("llama.cpp", theirs)


def test_plain_onnxruntime_loads_the_graph(project: Project) -> None:
    """Nothing of lmspec: names of inputs and outputs as other graphs have them."""
    import onnxruntime as ort

    session = ort.InferenceSession(project.root / "graph/model.onnx")
    past = [each for each in session.get_inputs() if each.name.startswith("past_key_values.")]
    names = ["logits", *(each.name.replace("past_key_values", "present") for each in past)]

    def answer(prompt: Ids) -> list[int]:
        ids, written, feed = prompt[None], [], {}
        for each in past:
            feed[each.name] = np.zeros((1, each.shape[1], 0, each.shape[3]), np.float32)
        for _ in range(NEW_TOKENS):
            length = len(prompt) + len(written)
            fed = {"input_ids": ids, "attention_mask": np.ones((1, length), np.int64)}
            logits, *present = session.run(names, fed | feed)
            written.append(int(logits[0, -1].argmax()))
            if written[-1] == project.source.writer.end_id:
                break
            ids = np.array([written[-1:]], np.int64)
            feed = {each.name: value for each, value in zip(past, present, strict=True)}
        return written

    project.require_alike("onnxruntime", [answer(prompt) for prompt in project.prompts])


def test_onnxruntime_genai_loads_the_graph(project: Project) -> None:
    """With a genai_config.json that says how inputs and outputs are called."""
    genai = pytest.importorskip("onnxruntime_genai", reason="pip install onnxruntime-genai")
    genai.disable_telemetry_events()
    config, words = project.source.model.config, project.source
    folder = project.root / "graph"
    decoder = {
        "filename": "model.onnx",
        "head_size": config.head_dim,
        "hidden_size": config.hidden_size,
        "num_attention_heads": config.num_attention_heads,
        "num_hidden_layers": config.num_hidden_layers,
        "num_key_value_heads": config.num_key_value_heads,
        "inputs": {
            "input_ids": "input_ids",
            "attention_mask": "attention_mask",
            "past_key_names": "past_key_values.%d.key",
            "past_value_names": "past_key_values.%d.value",
        },
        "outputs": {
            "logits": "logits",
            "present_key_names": "present.%d.key",
            "present_value_names": "present.%d.value",
        },
    }
    ends = {"eos_token_id": words.writer.end_id, "pad_token_id": words.pad_id, "bos_token_id": 0}
    model = {"type": "llama", "context_length": MAX_PAST, "vocab_size": config.vocab_size} | ends
    search = {"do_sample": False, "max_length": MAX_PAST, "past_present_share_buffer": False}
    about = {"model": model | {"decoder": decoder}, "search": search}
    (folder / "genai_config.json").write_text(json.dumps(about))
    loaded = genai.Model(str(folder))

    def answer(prompt: Ids) -> list[int]:
        params = genai.GeneratorParams(loaded)
        params.set_search_options(max_length=len(prompt) + NEW_TOKENS, do_sample=False)
        generator = genai.Generator(loaded, params)
        generator.append_tokens(prompt.astype(np.int32))
        while not generator.is_done():
            generator.generate_next_token()
        return list(map(int, generator.get_sequence(0)[len(prompt) :]))

    project.require_alike("onnxruntime-genai", [answer(prompt) for prompt in project.prompts])


def test_peft_loads_the_adapter(project: Project, tmp_path: Path) -> None:
    """Beside the source's own weights it answers as the merged model, which other answers than
    those weights alone."""
    peft = pytest.importorskip("peft")
    if project.root.name.startswith("smollm2"):
        pytest.skip("the tiny model has an adapter of the same kind")
    spec = spec_of(adapter=LORA, frozen_embeddings=True)
    seeds.seed_weights(NUMERICS)
    model, *_ = causal.create(spec, project.root / "source")
    adapted = adapters.Adapted(model, spec, NUMERICS, "CAUSAL_LM")
    with torch.no_grad():
        for name, weight in model.named_parameters():
            if "lora_B" in name:
                torch.nn.init.normal_(weight, 0, 0.1)
    adapted.merge_checked(
        lambda: np.concatenate([*TorchDecoder(model).logits(project.prompts)]), tmp_path
    )
    base = AutoModelForCausalLM.from_pretrained(project.root / "source")
    theirs = peft.PeftModel.from_pretrained(base, str(tmp_path / adapters.FOLDER)).eval()
    end = project.source.writer.end_id
    ours = fidelity.greedy(TorchDecoder(model), project.prompts, end, NEW_TOKENS)
    merged = replace(project, source=replace(project.source, model=model), answers=ours)
    answers = []
    for prompt in project.prompts:
        given = {"max_new_tokens": NEW_TOKENS, "do_sample": False}
        stops = {"eos_token_id": end, "pad_token_id": project.source.pad_id}
        ids = theirs.generate(input_ids=torch.from_numpy(prompt)[None], **given, **stops)
        answers.append(ids[0, len(prompt) :].tolist())
    merged.require_alike("peft", answers)
    assert ours != project.answers
