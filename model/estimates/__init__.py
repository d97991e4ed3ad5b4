"""What compilers and peaks say of devices that aren't there."""
