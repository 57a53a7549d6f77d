#!/usr/bin/env bash
# Inception V3, pretrained on ImageNet, on five kinds of flowers: first its last layers alone, then all of it. The
# settings are those of the original's script of this name.
#
#   scripts/finetune_inception_v3_on_flowers.sh [FOLDER]        (default: build/inception_v3_flowers)
#
# Environment: see recipe.sh; HEAD_STEPS (1000), ALL_STEPS (500). SOURCE_DIR, if given, holds flower_photos.tgz and
# inception_v3_2016_08_28.tar.gz.
# Hardware: a GPU, or a CPU and patience.
# Time: about 1:30 hours on 2 CPU cores, estimated from that of a step (head 2 s, all 6 s).
# Result: the original names no accuracy on flowers; the pretrained network has 78.0 % on ImageNet as published. Verified
# here: every step, on small pictures and a checkpoint of the same names in the true formats. Not verified: the accuracy.
. "$(dirname "${BASH_SOURCE[0]}")/recipe.sh" inception_v3_flowers "$@"

LAST=InceptionV3/Logits,InceptionV3/AuxLogits
get_data flowers
get_checkpoint inception_v3_2016_08_28.tar.gz
train head "${HEAD_STEPS:-1000}" --model_name=inception_v3 --checkpoint_path="$CHECKPOINT" \
  --checkpoint_exclude_scopes="$LAST" --trainable_scopes="$LAST" --batch_size="${BATCH_SIZE:-32}" \
  --optimizer=rmsprop --learning_rate=0.01 --learning_rate_decay_type=fixed --weight_decay=0.00004
evaluate head validation
train all "${ALL_STEPS:-500}" --model_name=inception_v3 --checkpoint_path="$FOLDER/head" --batch_size="${BATCH_SIZE:-32}" \
  --optimizer=rmsprop --learning_rate=0.0001 --learning_rate_decay_type=fixed --weight_decay=0.00004
evaluate all validation
export_and_predict all validation
