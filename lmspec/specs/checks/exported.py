"""exported checks: which models that write can become a graph."""

DECODERS = ("llama", "mistral", "qwen2", "qwen3")  # `model_type` of a config.json


def not_a_decoder(model_type: str) -> tuple[str, str]:
    """Why a model of another type has no graph, and what to do."""
    return (
        f"no graph is made of a {model_type}: its layers are not those of a llama",
        f"take a model of type {', '.join(DECODERS[:-1])} or {DECODERS[-1]}, or score the model"
        " itself",
    )
