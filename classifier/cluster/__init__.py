"""Several workers as one job: they agree before the first step, and end together.

Worker 0 has two connections to each other worker, one opened by either side at the address of the
other. These are open while the job runs; TensorFlow's servers then listen at the same addresses.
"""
