#!/usr/bin/env bash
# Fine-tunes ResNet V1 50, pretrained on ImageNet, on five kinds of flowers: first the last layers, then all of them.
# Uses the settings of TF-Slim's script of this name.
#
#   scripts/finetune_resnet_v1_50_on_flowers.sh [DIR]        (default: build/resnet_v1_50_flowers)
#
# Environment: HEAD_STEPS (3000), ALL_STEPS (1000). SOURCE_DIR, if set, contains flower_photos.tgz and
# resnet_v1_50_2016_08_28.tar.gz.
# Hardware: a GPU; a CPU is slow but sufficient.
# Time: about 2:15 hours on 2 CPU cores, estimated from the time per step (head 1.3 s, all 4.3 s).
# Result: TF-Slim states no accuracy on flowers; the published accuracy of the pretrained network on ImageNet is 75.2 %.
# Verified: every step, on small images and a checkpoint with the same names in the original formats. Not verified: the
# accuracy.
. "$(dirname "${BASH_SOURCE[0]}")/recipe.sh" resnet_v1_50_flowers "$@"

LAST=resnet_v1_50/logits
get_data flowers
get_checkpoint resnet_v1_50_2016_08_28.tar.gz
train head "${HEAD_STEPS:-3000}" --model_name=resnet_v1_50 --checkpoint_path="$CHECKPOINT" \
  --checkpoint_exclude_scopes="$LAST" --trainable_scopes="$LAST" --batch_size="${BATCH_SIZE:-32}" \
  --optimizer=rmsprop --learning_rate=0.01 --weight_decay=0.00004
evaluate head validation
train all "${ALL_STEPS:-1000}" --model_name=resnet_v1_50 --checkpoint_path="$DIR/head" --batch_size="${BATCH_SIZE:-32}" \
  --optimizer=rmsprop --learning_rate=0.001 --weight_decay=0.00004
evaluate all validation
export_and_predict all validation
