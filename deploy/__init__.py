"""The command line, the local stack, and the files that deploy the system."""
