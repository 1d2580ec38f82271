"""bytepair: train a byte-level BPE tokenizer, for models without a pretrained one."""

from collections.abc import Iterable

from tokenizers import Tokenizer, decoders, models, normalizers, pre_tokenizers, trainers

PAD = "[PAD]"
PAD_ID = 0  # the trainer numbers the special tokens first


def train(texts: Iterable[str], vocabulary: int, max_length: int) -> Tokenizer:
    """Lower-cased. Every byte is in the vocabulary, so no token is unknown.

    The same texts give the same bytes.

    The WordPiece trainer of `tokenizers` does not guarantee that: it numbers its `##` pieces in the
    order of a randomly seeded hash map.
    Source: Sennrich et al. 2016, arXiv:1508.07909; on bytes: Radford et al. 2019 (GPT-2).
    """
    tokenizer = Tokenizer(models.BPE())
    tokenizer.normalizer = normalizers.Sequence([normalizers.NFKC(), normalizers.Lowercase()])
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=True)
    tokenizer.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=vocabulary,
        special_tokens=[PAD],
        initial_alphabet=sorted(pre_tokenizers.ByteLevel.alphabet()),
        show_progress=False,
    )
    tokenizer.train_from_iterator(texts, trainer)
    tokenizer.enable_truncation(max_length)
    return tokenizer
