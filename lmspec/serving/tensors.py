"""tensors: the Open Inference Protocol v2, with its extension for binary tensors.

Source: https://github.com/kserve/open-inference-protocol and, for binary tensors,
https://github.com/triton-inference-server/server/blob/main/docs/protocol/extension_binary_data.md
"""

import json
import struct
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from http import HTTPStatus
from typing import Any, NoReturn

from lmspec.serving import asking
from lmspec.serving.asking import ID, Asked, Refused, Text
from lmspec.serving.limits import Limits

Values = dict[str, Any]
TEXT, LABEL, PROBABILITIES = "text", "label", "probabilities"
OUTPUTS = (LABEL, PROBABILITIES)


@dataclass(frozen=True)
class Inference:
    """A request.

    asked   its texts
    shape   of the input: [n] or [n, 1]
    binary  output -> is it wanted in binary? In the order that was asked for
    """

    asked: Asked
    shape: Sequence[int]
    binary: Mapping[str, bool]


def metadata(name: str, version: str, labels: Sequence[str]) -> Values:
    """What the model takes and gives; the probabilities are in the order of these labels."""
    return {
        "name": name,
        "versions": [version],
        "platform": "lmspec",
        "inputs": [{"name": TEXT, "datatype": "BYTES", "shape": [-1]}],
        "outputs": [
            {"name": LABEL, "datatype": "BYTES", "shape": [-1]},
            {
                "name": PROBABILITIES,
                "datatype": "FP64",
                "shape": [-1, len(labels)],
                "parameters": {"labels": list(labels)},
            },
        ],
    }


def inference(body: bytes, head_bytes: int | None, limits: Limits) -> Inference:
    """Parse a body, of which the first bytes are JSON, and the rest tensors. Raises Refused.

    There are no errors of single texts in this protocol: one refuses the request.
    """
    head, rest = (body, b"") if head_bytes is None else (body[:head_bytes], body[head_bytes:])
    if head_bytes is not None and head_bytes > len(body):
        _malformed("Inference-Header-Content-Length is longer than the body")
    values = asking.parsed(head)
    inputs = values.get("inputs")
    if not isinstance(inputs, list) or len(inputs) != 1 or not isinstance(inputs[0], dict):
        _malformed(f"`inputs` is a list of one tensor, `{TEXT}`")
    given = inputs[0]
    if given.get("name") != TEXT or given.get("datatype") != "BYTES":
        _malformed(f"the input is `{TEXT}`, of datatype BYTES")
    shape, texts = _shape(given.get("shape")), _texts(given, rest)
    if shape[0] != len(texts):
        _malformed(f"the shape has {shape[0]} texts, and the data {len(texts)}")
    if not texts:
        _malformed("there is no text")
    asking.require_number(len(texts), limits)
    checked = [_checked(i, text, limits) for i, text in enumerate(texts)]
    identity = values.get("id")
    if identity is not None and not asking.is_id(identity):
        _malformed(f"an `id` matches {ID}")
    return Inference(Asked(checked, None, identity, single=False), shape, _binary(values))


def rendered(
    asked: Inference, answers: Sequence[Values], labels: Sequence[str], about: Values
) -> tuple[bytes, int | None]:
    """A body, and the length of its JSON if tensors follow. about: names of model and version."""
    outputs: list[Values] = []
    tensors = b""
    for name, binary in asked.binary.items():
        if name == LABEL:
            data: list[Any] = [one["label"] or "" for one in answers]
            shape, kind = list(asked.shape), "BYTES"
            packed = b"".join(map(_bytes, data)) if binary else b""
        else:
            data = [one[PROBABILITIES].get(label, 0.0) for one in answers for label in labels]
            shape, kind = [len(answers), len(labels)], "FP64"
            packed = struct.pack(f"<{len(data)}d", *data) if binary else b""
        output: Values = {"name": name, "datatype": kind, "shape": shape}
        outputs.append(
            output
            | ({"parameters": {"binary_data_size": len(packed)}} if binary else {"data": data})
        )
        tensors += packed
    head = json.dumps(about | {"outputs": outputs}, separators=(",", ":")).encode("ascii")
    return head + tensors, len(head) if tensors else None


def _shape(shape: Any) -> list[int]:
    whole = isinstance(shape, list) and all(type(n) is int and n >= 0 for n in shape)
    if not whole or len(shape) not in (1, 2) or (len(shape) == 2 and shape[1] != 1):
        _malformed("the shape is [n] or [n, 1]")
    return [int(n) for n in shape]


def _texts(given: Values, rest: bytes) -> list[str]:
    """Of JSON, or of a binary tensor: each with its length before it."""
    size = _parameters(given).get("binary_data_size")
    if size is None:
        data = given.get("data")
        if not isinstance(data, list) or rest:
            _malformed("the input has `data`, or the parameter `binary_data_size`")
        flat = [one[0] if isinstance(one, list) and len(one) == 1 else one for one in data]
        for number, text in enumerate(flat):
            if not isinstance(text, str):
                _malformed(f"text {number} is not a text")
        return flat
    if type(size) is not int or size != len(rest) or "data" in given:
        _malformed(f"binary_data_size is {size!r}, and {len(rest)} bytes follow")
    texts: list[str] = []
    place = 0
    while place < len(rest):
        end = place + 4 + int.from_bytes(rest[place : place + 4], "little")
        if place + 4 > len(rest) or end > len(rest):
            _malformed(f"text {len(texts)} is longer than what follows")
        try:
            texts.append(rest[place + 4 : end].decode("utf-8"))
        except UnicodeDecodeError:
            _malformed(f"text {len(texts)} is not UTF-8")
        place = end
    return texts


def _checked(number: int, value: str, limits: Limits) -> Text:
    text = asking.text(value, limits)
    if text.refused:
        raise Refused(text.refused.status, text.refused.code, f"text {number}: {text.refused}")
    return text


def _binary(values: Values) -> dict[str, bool]:
    """Output -> wanted in binary?"""
    default = _parameters(values).get("binary_data_output") is True
    outputs = values.get("outputs")
    if outputs is None or outputs == []:
        return dict.fromkeys(OUTPUTS, default)
    wanted = {}
    for output in outputs if isinstance(outputs, list) else [outputs]:
        name = output.get("name") if isinstance(output, dict) else None
        if name not in OUTPUTS or name in wanted:
            _malformed(f"the outputs are {' and '.join(OUTPUTS)}, each once")
        wanted[name] = _parameters(output).get("binary_data", default) is True
    return wanted


def _parameters(values: Values) -> Values:
    parameters = values.get("parameters", {})
    if not isinstance(parameters, dict):
        _malformed("`parameters` is an object")
    return parameters


def _bytes(text: str) -> bytes:
    content = text.encode()
    return len(content).to_bytes(4, "little") + content


def _malformed(message: str) -> NoReturn:
    raise Refused(HTTPStatus.BAD_REQUEST, "malformed", message)
