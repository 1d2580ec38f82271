"""kserve: fields of KServe's InferenceService that ours may have, as its CRD declares them.

Not the whole: of spec.predictor what a container of your own needs. The CRD lets further fields
pass and drops them, so that a wrong name does nothing; here it is an error.
Source: kserve/kserve, config/crd/full/serving.kserve.io_inferenceservices.yaml at 047112c8 (types,
required fields, int-or-string, the pattern of quantities); names of containers, PROTOCOL and its
values: pkg/constants/constants.go and pkg/apis/serving/v1beta1/predictor_custom.go.
"""

from typing import Any

Schema = dict[str, Any]
TEXT: Schema = {"type": "string"}
FLAG: Schema = {"type": "boolean"}
WHOLE: Schema = {"type": "integer"}
PORT: Schema = {"anyOf": [WHOLE, TEXT]}
LABEL = r"^[a-z]([-a-z0-9]*[a-z0-9])?$"
QUANTITY: Schema = {
    "anyOf": [
        WHOLE,
        {
            "type": "string",
            "pattern": r"^(\+|-)?(([0-9]+(\.[0-9]*)?)|(\.[0-9]+))"
            r"(([KMGTPE]i)|[numkMGTPE]|([eE](\+|-)?(([0-9]+(\.[0-9]*)?)|(\.[0-9]+))))?$",
        },
    ]
}


def fields(*required: str, **properties: Schema) -> Schema:
    """An object with these, and no others."""
    shown = {"type": "object", "properties": properties, "additionalProperties": False}
    return shown | ({"required": [*required]} if required else {})


def listed(items: Schema, **more: Any) -> Schema:
    """An array."""
    return {"type": "array", "items": items} | more


def probe() -> Schema:
    """readinessProbe, livenessProbe and startupProbe."""
    return fields(
        httpGet=fields("port", path=TEXT, port=PORT, scheme=TEXT, host=TEXT),
        initialDelaySeconds=WHOLE,
        periodSeconds=WHOLE,
        timeoutSeconds=WHOLE,
        successThreshold=WHOLE,
        failureThreshold=WHOLE,
        terminationGracePeriodSeconds=WHOLE,
    )


AMOUNTS: Schema = {"type": "object", "additionalProperties": QUANTITY}
PROTOCOL: Schema = {
    "if": {"properties": {"name": {"const": "PROTOCOL"}}},
    "then": {"properties": {"value": {"enum": ["v1", "v2"]}}},
}
CONTAINER = fields(
    "name",
    name={"const": "kserve-container"},
    image=TEXT,
    imagePullPolicy=TEXT,
    command=listed(TEXT),
    args=listed(TEXT),
    workingDir=TEXT,
    env=listed(fields("name", name=TEXT, value=TEXT) | PROTOCOL),
    ports=listed(
        fields("containerPort", containerPort=WHOLE, name=TEXT, protocol=TEXT, hostPort=WHOLE),
        maxItems=1,  # of Knative
    ),
    readinessProbe=probe(),
    livenessProbe=probe(),
    startupProbe=probe(),
    resources=fields(requests=AMOUNTS, limits=AMOUNTS),
    securityContext=fields(
        allowPrivilegeEscalation=FLAG,
        capabilities=fields(add=listed(TEXT), drop=listed(TEXT)),
        privileged=FLAG,
        readOnlyRootFilesystem=FLAG,
        runAsGroup=WHOLE,
        runAsNonRoot=FLAG,
        runAsUser=WHOLE,
        seccompProfile=fields("type", type=TEXT, localhostProfile=TEXT),
    ),
)
PREDICTOR = fields(
    containers=listed(CONTAINER, minItems=1),
    minReplicas=WHOLE,
    maxReplicas=WHOLE,
    timeout=WHOLE,
    containerConcurrency=WHOLE,
    terminationGracePeriodSeconds=WHOLE,
    automountServiceAccountToken=FLAG,
    serviceAccountName=TEXT,
)
INFERENCE_SERVICE = fields(
    "apiVersion",
    "kind",
    "metadata",
    "spec",
    apiVersion={"const": "serving.kserve.io/v1beta1"},
    kind={"const": "InferenceService"},
    metadata=fields(
        "name",
        name={"type": "string", "pattern": LABEL, "maxLength": 63},
        namespace=TEXT,
        labels={"type": "object", "additionalProperties": TEXT | {"maxLength": 63}},
        annotations={"type": "object", "additionalProperties": TEXT},
    ),
    spec=fields("predictor", predictor=PREDICTOR),
)
