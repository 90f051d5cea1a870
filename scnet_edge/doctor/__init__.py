"""What this machine can run, what it lacks, what to do."""
