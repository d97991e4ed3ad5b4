"""The protocol of each benchmark, or family of them, as data: `NAME.toml`, read by `transforms.evaluation.protocol`."""
