"""wordpiece: a WordPiece tokenizer trained on texts, for models that bring none."""

from collections.abc import Sequence

from tokenizers import Tokenizer, decoders, models, normalizers, pre_tokenizers, trainers

PAD, UNKNOWN = "[PAD]", "[UNK]"
PAD_ID = 0  # the trainer numbers the special tokens first, in their order


def train(texts: Sequence[str], vocabulary: int, max_length: int) -> Tokenizer:
    """Lower-cased, accents stripped, as BERT does. The same texts in the same order give the same bytes.

    Source: Schuster & Nakajima 2012; tokenizers' WordPieceTrainer.
    """
    tokenizer = Tokenizer(models.WordPiece(unk_token=UNKNOWN))
    tokenizer.normalizer = normalizers.BertNormalizer(lowercase=True)
    tokenizer.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    tokenizer.decoder = decoders.WordPiece()
    trainer = trainers.WordPieceTrainer(vocab_size=vocabulary, special_tokens=[PAD, UNKNOWN], show_progress=False)
    tokenizer.train_from_iterator(texts, trainer)
    tokenizer.enable_truncation(max_length)
    return tokenizer
