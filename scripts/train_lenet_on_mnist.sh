#!/usr/bin/env bash
# Trains LeNet on MNIST with the settings of TF-Slim's script of this name.
#
#   scripts/train_lenet_on_mnist.sh [DIR]        (default: build/lenet_mnist)
#
# Environment: STEPS (20000), and those of recipe.sh.
# Hardware: any CPU. Time: about 15 minutes on 2 cores, estimated from the time per step.
# Result: a test accuracy of about 0.99, as published for LeNet-5 (LeCun et al., 1998: 0.95 to 0.8 % errors);
# TF-Slim states none. Verified: every step, on small archives in the original format. Not verified: the accuracy on MNIST.
. "$(dirname "${BASH_SOURCE[0]}")/recipe.sh" lenet_mnist "$@"

get_data mnist
train run "${STEPS:-20000}" --model_name=lenet --preprocessing_name=lenet --batch_size="${BATCH_SIZE:-32}" \
  --optimizer=sgd --learning_rate=0.01 --learning_rate_decay_factor=1.0 --weight_decay=0 --log_every_n_steps=100
evaluate run test
export_and_predict run test
