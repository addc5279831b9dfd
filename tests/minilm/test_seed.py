"""The interface that this project grew from works as it was written, with nothing changed but the imports."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from sentence_transformers import SentenceTransformer as Original

BASIC_USAGE = """\
from mini_lm_model import SentenceTransformer
from tokenizer import MiniLMTokenizer
from model_loader import load_pretrained_weights

# Initialize model with appropriate parameters
model = SentenceTransformer(num_hidden_layers=6, max_length=64)
tokenizer = MiniLMTokenizer(model_name="all-MiniLM-L6-v2", max_length=64)

# Load pretrained weights
model = load_pretrained_weights(model, model_name="all-MiniLM-L6-v2")

# Prepare sentences
sentences = [
    "The quick brown fox jumps over the lazy dog",
    "I love natural language processing"
]

# Tokenize sentences
encoded_input = tokenizer.encode(sentences)

# Move to appropriate device (CUDA, MPS, or CPU)
import torch
device = torch.device("cuda" if torch.cuda.is_available() else 
                      "mps" if torch.backends.mps.is_available() else 
                      "cpu")
model.to(device)
encoded_input = {k: v.to(device) for k, v in encoded_input.items()}

# Generate embeddings
with torch.no_grad():
    embeddings = model(encoded_input["input_ids"], encoded_input["attention_mask"])

# Use embeddings for similarity, clustering, etc.
"""  # noqa: W291 - as it was written


def test_basic_usage_gives_the_originals_unit_vectors(weights: Path) -> None:
    usage = BASIC_USAGE
    for module in ("mini_lm_model", "tokenizer", "model_loader"):
        usage = usage.replace(f"from {module} import", "from minisearch.minilm import")
    names: dict = {}
    exec(usage, names)
    original = Original(str(weights), device="cpu", local_files_only=True)
    original.max_seq_length = 64
    expected = original.encode(names["sentences"])
    embeddings = names["embeddings"].cpu().numpy()
    assert embeddings.shape == (2, 384)
    assert np.abs(embeddings - expected).max() <= 2e-6
    assert names["model"].report.n_tensors == 101
