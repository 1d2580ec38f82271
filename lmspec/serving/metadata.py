"""metadata: what a model takes and gives, as clients of the Open Inference Protocol read it."""

from collections.abc import Sequence
from typing import Any

Values = dict[str, Any]
TEXT, IDS, MASK = "text", "input_ids", "attention_mask"
LABEL, PROBABILITIES = "label", "probabilities"
INPUTS = {TEXT: ("BYTES", [-1]), IDS: ("INT64", [-1, -1]), MASK: ("INT64", [-1, -1])}
OUTPUTS = {LABEL: "BYTES", PROBABILITIES: "FP64"}
CONFIGURED = {"BYTES": "TYPE_STRING", "INT64": "TYPE_INT64", "FP64": "TYPE_FP64"}
PLATFORM = "lmspec"


def metadata(name: str, version: str, labels: Sequence[str]) -> Values:
    """Inputs and outputs; the probabilities are in the order of these labels.

    A request has either the texts or the ids: the protocol has no word for that here.
    """
    outputs = [
        {"name": LABEL, "datatype": OUTPUTS[LABEL], "shape": [-1]},
        {
            "name": PROBABILITIES,
            "datatype": OUTPUTS[PROBABILITIES],
            "shape": [-1, len(labels)],
            "parameters": {"labels": list(labels)},
        },
    ]
    inputs = [
        {"name": input_, "datatype": datatype, "shape": shape}
        for input_, (datatype, shape) in INPUTS.items()
    ]
    return {
        "name": name,
        "versions": [version],
        "platform": PLATFORM,
        "inputs": inputs,
        "outputs": outputs,
    }


def config(name: str, labels: Sequence[str], target: str | None = None) -> Values:
    """The same as Triton's extension for the configuration of a model has it.

    target  name of the one that computes, of a bundle that has several graphs
    Source: https://github.com/triton-inference-server/server/blob/main/docs/protocol/extension_model_configuration.md
    """
    outputs = {LABEL: [-1], PROBABILITIES: [-1, len(labels)]}
    parameters = {"parameters": {"target": {"string_value": target}}} if target else {}
    return {
        "name": name,
        "platform": PLATFORM,
        "backend": PLATFORM,
        **parameters,
        "max_batch_size": 0,  # shapes have the number of texts in them
        "input": [
            {"name": input_, "data_type": CONFIGURED[datatype], "dims": shape, "optional": True}
            for input_, (datatype, shape) in INPUTS.items()
        ],
        "output": [
            {"name": output, "data_type": CONFIGURED[OUTPUTS[output]], "dims": shape}
            for output, shape in outputs.items()
        ],
    }
