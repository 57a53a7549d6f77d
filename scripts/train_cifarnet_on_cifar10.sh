#!/usr/bin/env bash
# Trains CifarNet on CIFAR-10 with the settings of TF-Slim's script of this name.
#
#   scripts/train_cifarnet_on_cifar10.sh [DIR]        (default: build/cifarnet_cifar10)
#
# Environment: STEPS (100000), and those of recipe.sh.
# Hardware: any CPU. Time: about 90 minutes on 2 cores, estimated from the time per step.
# Result: TF-Slim states no accuracy. Verified: every step, on small archives in the original format. Not verified: the
# accuracy on CIFAR-10.
. "$(dirname "${BASH_SOURCE[0]}")/recipe.sh" cifarnet_cifar10 "$@"

get_data cifar10
train run "${STEPS:-100000}" --model_name=cifarnet --preprocessing_name=cifarnet --batch_size="${BATCH_SIZE:-32}" \
  --optimizer=sgd --learning_rate=0.1 --learning_rate_decay_factor=0.1 --num_epochs_per_decay=200 \
  --weight_decay=0.004 --log_every_n_steps=100
evaluate run test
export_and_predict run test
