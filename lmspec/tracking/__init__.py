"""tracking: the curves of trainings for TensorBoard, Weights & Biases and MLflow."""
