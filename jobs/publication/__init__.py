"""What of an output is published, and how it gets to a folder, a bucket or the Hugging Face Hub."""
