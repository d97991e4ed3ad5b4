"""A job whose units run on several hosts, which claim them: the hosts that join, and the driver that waits for them."""
