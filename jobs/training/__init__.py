"""What `codemill train` is made of: rows from a corpus or packed rows, the loop, checkpoints to resume from."""
