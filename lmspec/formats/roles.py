"""roles: what tokens of a tokenizer are for, as tokenizer_config.json of transformers has it."""

from tokenizers import Tokenizer

# As the tokenizers of BERT's and of RoBERTa's kin call them; tokenizer.json has no word for it.
NAMES = {
    "unk_token": ("[UNK]", "<unk>"),
    "cls_token": ("[CLS]", "<s>"),
    "sep_token": ("[SEP]", "</s>"),
    "mask_token": ("[MASK]", "<mask>"),
}


def roles(tokenizer: Tokenizer, pad_id: int) -> dict[str, str]:
    """Role -> token, of those that it has."""
    special = {
        token.content for token in tokenizer.get_added_tokens_decoder().values() if token.special
    }
    pad = tokenizer.id_to_token(pad_id)
    found = {} if pad is None else {"pad_token": pad}
    for role, names in NAMES.items():
        token = next((name for name in names if name in special), None)
        if token is not None:
            found[role] = token
    return found
