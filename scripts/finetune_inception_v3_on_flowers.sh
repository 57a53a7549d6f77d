#!/usr/bin/env bash
# Fine-tunes Inception V3, pretrained on ImageNet, on five kinds of flowers: first the last layers, then all of them.
# Uses the settings of TF-Slim's script of this name.
#
#   scripts/finetune_inception_v3_on_flowers.sh [DIR]        (default: build/inception_v3_flowers)
#
# Environment: HEAD_STEPS (1000), ALL_STEPS (500). SOURCE_DIR, if set, contains flower_photos.tgz and
# inception_v3_2016_08_28.tar.gz.
# Hardware: a GPU; a CPU is slow but sufficient.
# Time: about 1:30 hours on 2 CPU cores, estimated from the time per step (head 2 s, all 6 s).
# Result: TF-Slim states no accuracy on flowers; the published accuracy of the pretrained network on ImageNet is 78.0 %.
# Verified: every step, on small images and a checkpoint with the same names in the original formats. Not verified: the
# accuracy.
. "$(dirname "${BASH_SOURCE[0]}")/recipe.sh" inception_v3_flowers "$@"

LAST=InceptionV3/Logits,InceptionV3/AuxLogits
get_data flowers
get_checkpoint inception_v3_2016_08_28.tar.gz
train head "${HEAD_STEPS:-1000}" --model_name=inception_v3 --checkpoint_path="$CHECKPOINT" \
  --checkpoint_exclude_scopes="$LAST" --trainable_scopes="$LAST" --batch_size="${BATCH_SIZE:-32}" \
  --optimizer=rmsprop --learning_rate=0.01 --learning_rate_decay_type=fixed --weight_decay=0.00004
evaluate head validation
train all "${ALL_STEPS:-500}" --model_name=inception_v3 --checkpoint_path="$DIR/head" --batch_size="${BATCH_SIZE:-32}" \
  --optimizer=rmsprop --learning_rate=0.0001 --learning_rate_decay_type=fixed --weight_decay=0.00004
evaluate all validation
export_and_predict all validation
