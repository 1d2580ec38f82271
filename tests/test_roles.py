"""A saved tokenizer knows what its tokens are for."""

import json
from pathlib import Path

import pytest
from tokenizers import AddedToken, Tokenizer
from tokenizers.models import WordPiece
from transformers import PreTrainedTokenizerFast

from lmspec.formats.roles import roles
from lmspec.methods import bytepair
from tests import miniature


@pytest.mark.parametrize(
    "names",
    [("[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"), ("<pad>", "<unk>", "<s>", "</s>", "<mask>")],
)
def test_transformers_knows_them_too(tmp_path: Path, names: tuple[str, ...]) -> None:
    """As tokenizer_config.json has them, of BERT's and of RoBERTa's kin; not a word that is no
    special token."""
    vocabulary = {name: i for i, name in enumerate([*names, "film", "<s" + ">x"])}
    tokenizer = Tokenizer(WordPiece(vocabulary, unk_token=names[1]))
    tokenizer.add_special_tokens([AddedToken(name, special=True) for name in names])
    found = roles(tokenizer, 0)
    pad, unk, cls, sep, mask = names
    assert found == {
        "pad_token": pad,
        "unk_token": unk,
        "cls_token": cls,
        "sep_token": sep,
        "mask_token": mask,
    }
    tokenizer.save(str(tmp_path / "tokenizer.json"))
    values = {"tokenizer_class": "PreTrainedTokenizerFast", **found}
    (tmp_path / "tokenizer_config.json").write_text(json.dumps(values))
    theirs = PreTrainedTokenizerFast.from_pretrained(tmp_path)
    assert (theirs.mask_token_id, theirs.cls_token_id, theirs.sep_token_id) == (4, 2, 3)


def test_a_tokenizer_without_them_names_none() -> None:
    """One of lmspec's own has padding alone."""
    own = bytepair.train([text for _, text, _ in miniature.sentences("")], 300, 16)
    assert roles(own, bytepair.PAD_ID) == {"pad_token": "[PAD]"}
