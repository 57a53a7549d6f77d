"""Several workers as one job: they agree before the first step, and end together.

Each worker is connected to worker 0, twice, by a connection to the address of either side, and to
its neighbors in the ring in which TensorFlow passes gradients. The connections stay open while the
job runs; TensorFlow's servers then listen at the same addresses.
"""
