"""Ways in which a checkpoint can be damaged, by format; `tests/model/checkpoint/test_damaged.py` tries them all."""
