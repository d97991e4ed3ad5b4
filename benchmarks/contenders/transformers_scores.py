"""Log-likelihoods by Hugging Face transformers: one forward pass in float32 for each sequence alone.

    python transformers_scores.py FOLDER

`FOLDER/model` is the model; `FOLDER/sequences.json` has lists of [prompt ids, continuation ids]. Writes
`FOLDER/transformers.json`: the sum of each continuation's log-probabilities, taken in float64.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path

import torch
from transformers import AutoModelForCausalLM


def main() -> None:
    folder = Path(sys.argv[1])
    model = AutoModelForCausalLM.from_pretrained(folder / "model", dtype=torch.float32, attn_implementation="eager")
    model.eval()
    sums = []
    with torch.inference_mode():
        for prompt, continuation in json.loads((folder / "sequences.json").read_text()):
            logits = model(torch.tensor([prompt + continuation])).logits[0, len(prompt) - 1 : -1]
            logprobs = torch.log_softmax(logits.double(), dim=-1)
            sums.append(float(logprobs.gather(1, torch.tensor(continuation)[:, None]).sum()))
    (folder / "transformers.json").write_text(json.dumps(sums))


if __name__ == "__main__":
    main()
