"""The options of `codemill train`."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from jobs.options.fields import option
from jobs.options.report import RunOptions
from jobs.options.shared import OptOutOptions
from model.errors import ConfigError


@dataclass(frozen=True, kw_only=True)
class TrainOptions(OptOutOptions, RunOptions):
    """Train a Gemma model on fill-in-the-middle over source files, or fine-tune a checkpoint."""

    resumes = True

    input: tuple[str, ...] = option(
        help="Parquet files, folders or globs of a corpus or of packed rows, local or gs://; one or more.",
        metavar="GLOB",
        is_path=True,
    )
    tokenizer: str | None = option(
        None,
        help="Tokenizer: a .model file or a checkpoint folder; by default that of the checkpoint that is fine-tuned.",
        metavar="PATH",
        is_path=True,
    )
    output: str = option(help="Output folder of the run, local.", operational=True, metavar="DIR", is_path=True)
    init_from: str | None = option(
        None,
        help="A Gemma checkpoint to fine-tune, in any layout; or an earlier run of train, whose shapes must match, to "
        "go on from its weights and optimizer.",
        metavar="DIR",
        is_path=True,
    )
    lora_rank: int | None = option(
        None, help="Train adapters of this rank (LoRA) instead of the checkpoint's weights.", minimum=1, metavar="RANK"
    )
    lora_alpha: float | None = option(
        None, help="Adapters count alpha / rank; twice the rank by default.", minimum=0.0, metavar="ALPHA"
    )
    lora_targets: tuple[str, ...] = option(
        ("q_proj", "k_proj", "v_proj", "o_proj", "gate_proj", "up_proj", "down_proj"),
        help="Matrices of each block that get adapters.",
        metavar="NAME",
    )
    eval_input: tuple[str, ...] = option(
        (), help="Held-out rows of the same kind, whose loss is measured.", metavar="GLOB", is_path=True
    )
    eval_every: int = option(
        200, help="Steps between measurements on --eval_input.", operational=True, minimum=1, metavar="STEPS"
    )
    eval_batches: int = option(
        16, help="Batches of --eval_input that are measured.", operational=True, minimum=1, metavar="BATCHES"
    )
    num_layers: int = option(4, help="Transformer blocks.", minimum=1, metavar="LAYERS")
    d_model: int = option(192, help="Width of the residual stream.", minimum=8, metavar="WIDTH")
    d_ff: int = option(512, help="Width of the feed-forward layers.", minimum=8, metavar="WIDTH")
    num_heads: int = option(3, help="Query heads.", minimum=1, metavar="HEADS")
    num_kv_heads: int = option(1, help="Key/value heads.", minimum=1, metavar="HEADS")
    head_dim: int = option(64, help="Width of a head; must be even.", minimum=2, metavar="WIDTH")
    rope_base: float = option(
        10_000.0, help="Base wavelength of the rotary position embedding; CodeGemma's is 10,000.", minimum=1.0
    )
    context_length: int | None = option(
        None, help="Context length written to a new model's config; 1024 by default.", minimum=32, metavar="TOKENS"
    )
    copying_heads: bool = option(
        False, help="Initialize some heads to copy from the context, which small models learn slowly."
    )
    length: int = option(
        512,
        help="Tokens per training row and maximum example length; for packed rows, the length they were packed to.",
        minimum=64,
        metavar="TOKENS",
    )
    batch_rows: int = option(16, help="Rows per step.", minimum=1, metavar="ROWS")
    num_steps: int = option(1000, help="Number of training steps.", minimum=1, metavar="STEPS")
    warmup_steps: int = option(50, help="Warmup steps of the learning rate.", minimum=0, metavar="STEPS")
    decay_fraction: float = option(
        0.3, help="Fraction of the run, at its end, over which the learning rate decays to 0.", minimum=0.0, maximum=1.0
    )
    optimizer: Literal["auto", "muon", "adamw"] = option(
        "auto",
        help="muon: Muon for matrices and AdamW for embedding and norms; adamw: AdamW for all; auto: muon for a new "
        "model, adamw for a checkpoint.",
    )
    learning_rate: float | None = option(
        None,
        help="Peak learning rate, with Muon that of matrices; by default 0.01 for a new model, 2e-5 for a checkpoint, "
        "2e-4 for adapters.",
        minimum=0.0,
        metavar="RATE",
    )
    embedding_learning_rate: float | None = option(
        None,
        help="With Muon, peak learning rate of embedding and norms; by default 0.005 for a new model, --learning_rate "
        "for a checkpoint.",
        minimum=0.0,
        metavar="RATE",
    )
    weight_decay: float = option(0.05, help="Weight decay of matrices.", minimum=0.0)
    min_tokens: int = option(96, help="Minimum window around a FIM middle.", minimum=32, metavar="TOKENS")
    fim_rate: float = option(
        0.9, help="Fraction of examples transformed for FIM; the others are plain text.", maximum=1.0
    )
    path_rate: float = option(0.2, help="Fraction of the FIM examples that start with the file's path.", maximum=1.0)
    middle_weight: float = option(
        1.0, help="Loss weight of middle tokens; all other tokens have weight 1.", minimum=0.0
    )
    seed: int = option(0, help="Random seed.", minimum=0)
    dtype: Literal["auto", "float32", "bfloat16", "mixed"] = option(
        "auto",
        help="Compute dtype; auto: float32 on CPU, bfloat16 on TPU and GPU; mixed: float32, but matrices are "
        "multiplied in bfloat16, which is faster on CPUs with AVX512_BF16 or AMX. Weights are float32.",
    )
    micro_batches: int = option(
        1, help="Micro-batches per step for gradient accumulation, to bound memory.", minimum=1, metavar="PARTS"
    )
    remat: Literal["auto", "on", "off"] = option(
        "auto",
        help="Recompute blocks in the backward pass instead of storing them: more time, less memory; "
        "auto: for a checkpoint.",
        operational=True,
    )
    stop_after_s: float | None = option(
        None,
        help="Write a checkpoint and stop after this many seconds; the same command resumes.",
        operational=True,
        minimum=0.0,
    )
    checkpoint_every_s: float = option(
        120.0, help="Seconds between checkpoints.", operational=True, minimum=0.0, metavar="SECONDS"
    )
    log_every: int = option(20, help="Steps between log lines.", operational=True, minimum=1, metavar="STEPS")

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.batch_rows % self.micro_batches:
            raise ConfigError(
                f"--batch_rows {self.batch_rows} is not divisible by --micro_batches {self.micro_batches}"
            )
        if self.num_heads % self.num_kv_heads or self.head_dim % 2:
            raise ConfigError(
                f"--num_heads {self.num_heads} must be a multiple of --num_kv_heads {self.num_kv_heads}, "
                f"and --head_dim {self.head_dim} must be even"
            )
        if "://" in self.output:
            raise ConfigError(f"--output {self.output}: train can only write to a local folder; copy it afterwards")
        if self.tokenizer is None and self.init_from is None:
            raise ConfigError("--tokenizer is required for a new model; pass a .model file or a checkpoint folder")
        if self.lora_alpha == 0:
            raise ConfigError("--lora_alpha is 0: adapters would count nothing; leave it out, or pass more than 0")
        if self.context_length is not None and self.length > self.context_length:
            raise ConfigError(f"--length {self.length} exceeds --context_length {self.context_length}")
