#!/usr/bin/env bash
# ResNet V1 50, pretrained on ImageNet, on five kinds of flowers: first its last layers alone, then all of it. The
# settings are those of the original's script of this name.
#
#   scripts/finetune_resnet_v1_50_on_flowers.sh [FOLDER]        (default: build/resnet_v1_50_flowers)
#
# Environment: see recipe.sh; HEAD_STEPS (3000), ALL_STEPS (1000). SOURCE_DIR, if given, holds flower_photos.tgz and
# resnet_v1_50_2016_08_28.tar.gz.
# Hardware: a GPU, or a CPU and patience.
# Time: about 2:15 hours on 2 CPU cores, estimated from that of a step (head 1.3 s, all 4.3 s).
# Result: the original names no accuracy on flowers; the pretrained network has 75.2 % on ImageNet as published. Verified
# here: every step, on small pictures and a checkpoint of the same names in the true formats. Not verified: the accuracy.
. "$(dirname "${BASH_SOURCE[0]}")/recipe.sh" resnet_v1_50_flowers "$@"

LAST=resnet_v1_50/logits
get_data flowers
get_checkpoint resnet_v1_50_2016_08_28.tar.gz
train head "${HEAD_STEPS:-3000}" --model_name=resnet_v1_50 --checkpoint_path="$CHECKPOINT" \
  --checkpoint_exclude_scopes="$LAST" --trainable_scopes="$LAST" --batch_size="${BATCH_SIZE:-32}" \
  --optimizer=rmsprop --learning_rate=0.01 --weight_decay=0.00004
evaluate head validation
train all "${ALL_STEPS:-1000}" --model_name=resnet_v1_50 --checkpoint_path="$FOLDER/head" --batch_size="${BATCH_SIZE:-32}" \
  --optimizer=rmsprop --learning_rate=0.001 --weight_decay=0.00004
evaluate all validation
export_and_predict all validation
