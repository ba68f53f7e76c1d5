"""Tokenizer, template, model and package, on a tokenizer and a model made on the spot."""

from __future__ import annotations

import hashlib
import json

import pytest
import torch
from transformers import AutoModelForCausalLM, AutoTokenizer

from tools.demo_chat import package, vocabulary
from tools.demo_chat.evaluate import Writer, judge
from tools.demo_chat.heldout import known
from tools.demo_chat.model import configuration, new_model
from tools.demo_chat.pool import WIDTHS, encode, shelve
from tools.demo_chat.template import THOUGHT, answer_of, prompt, reply
from tools.demo_chat.train import PROMPT_WEIGHT, disturb, weighted_loss


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    made = tmp_path_factory.mktemp("chat")
    vocabulary.save(vocabulary.learn(200, vocabulary.SIZE), made)
    torch.manual_seed(1)
    new_model(vocabulary.load(made), layers=1, width=128).to(torch.bfloat16).save_pretrained(made)
    return made


@pytest.fixture(scope="module")
def tokenizer(folder):
    return AutoTokenizer.from_pretrained(folder)


@pytest.mark.parametrize(
    "text", ["엔진을 빌드해요", "naïve 漢字 😀\x07", "47 + 38 = 85", " two  spaces\n"]
)
def test_any_text_comes_back(tokenizer, text):
    ids = tokenizer(text).input_ids
    assert ids[0] == tokenizer.bos_token_id
    assert tokenizer.decode(ids, skip_special_tokens=True) == text


def test_digits_stand_alone(tokenizer):
    assert tokenizer.tokenize("4738")[-4:] == list("4738")


def test_template_writes_what_training_does(tokenizer):
    messages = [
        {"role": "system", "content": "Be brief. "},
        {"role": "user", "content": [{"type": "text", "text": "hi"}]},
        {"role": "assistant", "content": "<think>\nA greeting.\n</think>\n\nHello!"},
        {"role": "user", "content": "bye"},
    ]
    written = tokenizer.apply_chat_template(messages, tokenize=False, add_generation_prompt=True)
    pairs = [("system", "Be brief."), ("user", "hi"), ("assistant", "Hello!"), ("user", "bye")]
    assert written == prompt(pairs)
    assert written.endswith("<|assistant|><think>\n")
    with pytest.raises(Exception, match="Roles are"):
        tokenizer.apply_chat_template([{"role": "tool", "content": "x"}], tokenize=False)


def test_reasoning_stays_visible_and_is_told_from_the_answer(tokenizer):
    text = reply("Topic: a greeting.", "Hello!")
    ids = tokenizer(text, add_special_tokens=False).input_ids
    assert ids[-1] == tokenizer.eos_token_id
    assert THOUGHT in tokenizer.decode(ids, skip_special_tokens=True)
    assert answer_of(text) == "Hello!"


def test_dialogues_fit_their_shelves(folder, tokenizer):
    rows = encode(folder, seed=5, count=60)
    shelves = shelve(iter([rows]), tokenizer.pad_token_id)
    assert sum(len(starts) for _, starts in shelves.values()) == len(rows)
    for width, (ids, starts) in shelves.items():
        assert width in WIDTHS and ids.shape == (len(starts), width)
        assert ((starts > 0) & (starts < width)).all()
        ends = [row[row != tokenizer.pad_token_id][-1] for row in ids]
        assert set(ends) == {tokenizer.eos_token_id}


def test_the_loss_is_of_replies_above_all(folder):
    model = AutoModelForCausalLM.from_pretrained(folder, dtype=torch.float32)
    ids = torch.tensor([[0, 50, 51, 52, 53, 1, 2, 2]])
    loss, replies = weighted_loss(model, ids, ids, torch.tensor([3]), pad=2)
    with torch.no_grad():
        each = -model(input_ids=ids[:, :5]).logits.log_softmax(-1)[0]
    losses = each.gather(1, ids[0, 1:6, None])[:, 0]
    weights = torch.tensor([PROMPT_WEIGHT, PROMPT_WEIGHT, 1, 1, 1])
    assert float(replies) == pytest.approx(float(losses[2:].mean()), rel=1e-4)
    assert loss.item() == pytest.approx(float((losses * weights).sum() / weights.sum()), rel=1e-4)


def test_only_words_before_the_reply_are_disturbed():
    torch.manual_seed(3)
    ids = torch.full((64, 40), 50)
    ids[:, 5] = 2
    given = disturb(ids, torch.full((64,), 20), 0.5, range(10, 100))
    changed = given != ids
    assert 0.2 < changed[:, :20].float().mean() < 0.8
    assert not changed[:, 20:].any()
    assert not changed[:, 5].any()
    assert given[changed].min() >= 10
    assert given[changed].max() < 100
    assert not (disturb(ids, torch.full((64,), 20), 0.0, range(10, 100)) != ids).any()


def test_the_model_is_small_and_its_widths_fit_blocks(tokenizer):
    config = configuration(tokenizer)
    with torch.device("meta"):
        parameters = type(new_model(tokenizer, 1, 128))(config).num_parameters()
    assert 5_000_000 < parameters < 6_000_000
    widths = (config.hidden_size, config.intermediate_size, config.vocab_size, config.head_dim)
    assert all(width % 64 == 0 for width in widths)


def test_an_untrained_model_is_judged_wrong(folder):
    writer = Writer(folder)
    writer.settings.max_new_tokens = 8
    verdicts = list(judge(writer, known()[:4]))
    assert [verdict.row for verdict in verdicts] == list(known()[:4])
    assert not any(verdict.right or verdict.ended for verdict in verdicts)


def test_a_package_says_what_it_holds(folder, tmp_path):
    content = package.package(folder, tmp_path / "demo-chat")
    kept = json.loads((tmp_path / "demo-chat" / "manifest.json").read_text(encoding="utf-8"))
    assert kept == content and kept["licence"] == "Apache-2.0"
    for name, digest in kept["sha256"].items():
        data = (tmp_path / "demo-chat" / name).read_bytes()
        assert hashlib.sha256(data).hexdigest() == digest
    assert {"model.safetensors", "tokenizer.json", "perplexity.jsonl"} <= kept["sha256"].keys()
    settings = json.loads((tmp_path / "demo-chat" / "generation_config.json").read_text())
    assert {"bos_token_id", "eos_token_id", "pad_token_id", "max_new_tokens"} <= settings.keys()
    config = json.loads((tmp_path / "demo-chat" / "tokenizer_config.json").read_text())
    assert config["tokenizer_class"] == "PreTrainedTokenizerFast" and config["chat_template"]
    assert "extra_special_tokens" not in config


def test_a_package_without_weights_is_refused(tmp_path):
    (tmp_path / "empty").mkdir()
    with pytest.raises(ValueError, match="bytes of weights"):
        package.package(tmp_path / "empty", tmp_path / "out")
