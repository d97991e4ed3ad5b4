"""What decides whether a candidate is a finding: values of secrets, personal data, checksums."""
