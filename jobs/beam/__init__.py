"""What opens a Beam pipeline, which runner its flags name, and what of its log is kept quiet."""
