"""tensors: a request of the Open Inference Protocol v2 -> what it asks for; answers -> a response.

Source: https://github.com/kserve/open-inference-protocol
"""

import struct
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from lmspec.methods.reading import Ids, Reader
from lmspec.serving import asking, compact, packing
from lmspec.serving.asking import ID, Asked, Refused, Text, malformed
from lmspec.serving.limits import Limits
from lmspec.serving.metadata import IDS, LABEL, MASK, OUTPUTS, PROBABILITIES, TEXT, Values
from lmspec.serving.packing import Tensor


@dataclass(frozen=True)
class Inference:
    """A request.

    asked   its texts
    shape   of the label: [n], or [n, 1] as that of the texts
    binary  output -> is it wanted in binary? In the order that was asked for
    """

    asked: Asked
    shape: Sequence[int]
    binary: Mapping[str, bool]


def inference(body: bytes, head_bytes: int | None, limits: Limits, reader: Reader) -> Inference:
    """Parse a body, of which the first bytes are JSON, and the rest tensors. Raises Refused.

    There are no errors of single texts in this protocol: one refuses the request.
    """
    head, rest = (body, b"") if head_bytes is None else (body[:head_bytes], body[head_bytes:])
    if head_bytes is not None and head_bytes > len(body):
        malformed("Inference-Header-Content-Length is longer than the body")
    values = asking.parsed(head)
    given = packing.tensors(values.get("inputs"), rest)
    inputs = {tensor.name: tensor for tensor in given}
    if len(inputs) < len(given):
        malformed("an input is given twice")
    if inputs.keys() == {TEXT}:
        shape: Sequence[int] = inputs[TEXT].shape
        contents = packing.texts(inputs[TEXT])
        _require_number(len(contents), limits)
        texts = [_text(i, content, limits) for i, content in enumerate(contents)]
    elif inputs.keys() == {IDS, MASK}:
        texts = _of_ids(inputs[IDS], inputs[MASK], limits, reader)
        shape = [len(texts)]
    else:
        malformed(f"the inputs are `{TEXT}`, or `{IDS}` and `{MASK}`")
    identity = values.get("id")
    if identity is not None and not asking.is_id(identity):
        malformed(f"an `id` matches {ID}")
    return Inference(Asked(texts, None, identity, single=False), shape, _binary(values))


def rendered(
    asked: Inference, answers: Sequence[Values], labels: Sequence[str], about: Values
) -> tuple[bytes, int | None]:
    """A body, and the length of its JSON if tensors follow. about: names of model and version."""
    outputs: list[Values] = []
    tensors = b""
    for name, binary in asked.binary.items():
        if name == LABEL:
            data: list[Any] = [one["label"] or "" for one in answers]
            shape = list(asked.shape)
            packed = packing.packed(data) if binary else b""
        else:
            data = [one[PROBABILITIES].get(label, 0.0) for one in answers for label in labels]
            shape = [len(answers), len(labels)]
            packed = struct.pack(f"<{len(data)}d", *data) if binary else b""
        output: Values = {"name": name, "datatype": OUTPUTS[name], "shape": shape}
        size = {"parameters": {packing.SIZE: len(packed)}}
        outputs.append(output | (size if binary else {"data": data}))
        tensors += packed
    head = compact.content(about | {"outputs": outputs})
    return head + tensors, len(head) if tensors else None


def _require_number(texts: int, limits: Limits) -> None:
    if not texts:
        malformed("there is no text")
    asking.require_number(texts, limits)


def _text(number: int, value: str, limits: Limits) -> Text:
    text = asking.text(value, limits)
    if text.refused:
        raise Refused(text.refused.status, text.refused.code, f"text {number}: {text.refused}")
    return text


def _of_ids(ids: Tensor, mask: Tensor, limits: Limits, reader: Reader) -> list[Text]:
    """Ids that a client's tokenizer has made, padded on the right where the mask is 0."""
    rows, masks = packing.integers(ids), packing.integers(mask)
    if rows.shape != masks.shape:
        malformed(f"`{IDS}` and `{MASK}` have one shape")
    _require_number(len(rows), limits)
    return [
        _row(number, *both, reader) for number, both in enumerate(zip(rows, masks, strict=True))
    ]


def _row(number: int, ids: Ids, mask: Ids, reader: Reader) -> Text:
    """Its ids without padding, so that it is computed as the text is."""
    if ((mask != 0) & (mask != 1)).any() or (np.diff(mask) > 0).any():
        malformed(f"text {number}: its `{MASK}` is ones, then zeros")
    try:
        return Text(reader.given(ids[mask == 1]) if mask.any() else "")
    except ValueError as error:
        malformed(f"text {number}: {error}")


def _binary(values: Values) -> dict[str, bool]:
    """Output -> wanted in binary?"""
    default = packing.parameters(values).get("binary_data_output") is True
    outputs = values.get("outputs")
    if outputs is None or outputs == []:
        return dict.fromkeys(OUTPUTS, default)
    wanted = {}
    for output in outputs if isinstance(outputs, list) else [outputs]:
        name = output.get("name") if isinstance(output, dict) else None
        if not isinstance(name, str) or name not in OUTPUTS or name in wanted:
            malformed(f"the outputs are {' and '.join(OUTPUTS)}, each once")
        wanted[name] = packing.parameters(output).get("binary_data", default) is True
    return wanted
