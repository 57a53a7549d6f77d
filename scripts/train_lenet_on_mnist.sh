#!/usr/bin/env bash
# LeNet on the handwritten digits of MNIST, with the settings of the original's script of this name.
#
#   scripts/train_lenet_on_mnist.sh [FOLDER]        (default: build/lenet_mnist)
#
# Environment: see recipe.sh; STEPS (20000).
# Hardware: any CPU. Time: about 15 minutes on 2 cores, estimated from that of a step.
# Result: a test accuracy of about 0.99, as published for LeNet-5 (LeCun et al., 1998: 0.95 to 0.8 % errors); the original
# names none. Verified here: every step, on small archives in the true format. Not verified: the accuracy on MNIST.
. "$(dirname "${BASH_SOURCE[0]}")/recipe.sh" lenet_mnist "$@"

get_data mnist
train run "${STEPS:-20000}" --model_name=lenet --preprocessing_name=lenet --batch_size="${BATCH_SIZE:-32}" \
  --optimizer=sgd --learning_rate=0.01 --learning_rate_decay_factor=1.0 --weight_decay=0 --log_every_n_steps=100
evaluate run test
export_and_predict run test
