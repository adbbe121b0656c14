"""Training, evaluation and model cards."""
