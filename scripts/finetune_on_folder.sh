#!/usr/bin/env bash
# Fine-tunes a pretrained network on your own images: first the head, then all layers.
#
#   scripts/finetune_on_folder.sh IMAGES [DIR]        (default: build/finetune_on_folder)
#
# IMAGES contains a directory of images for each class, or train/ and validation/ with such directories.
# Environment: MODEL_NAME (inception_v1), ARCHIVE (inception_v1_2016_08_28.tar.gz; others in
# docs/checkpoints.md) or CHECKPOINT, an existing checkpoint of that network; HEAD_STEPS (1000), ALL_STEPS (1000),
# HEAD_RATE (0.01), ALL_RATE (0.001). SOURCE_DIR, if set, contains ARCHIVE.
# Hardware: a GPU; a CPU is slow but sufficient.
# Time: about 45 minutes on 2 CPU cores, estimated from the time per step.
# Result: depends on the images; with fewer than a few hundred per class, compare both stages before you choose one.
# Verified: every step, on real images of digits.
. "$(dirname "${BASH_SOURCE[0]}")/recipe.sh" finetune_on_folder "$@"

NETWORK=(--model_name="${MODEL_NAME:-inception_v1}" --batch_size="${BATCH_SIZE:-32}" --optimizer=rmsprop)
SOURCE_DIR="$INPUT" get_data folder
[ -n "${CHECKPOINT:-}" ] || get_checkpoint "${ARCHIVE:-inception_v1_2016_08_28.tar.gz}"
train head "${HEAD_STEPS:-1000}" "${NETWORK[@]}" --checkpoint_path="$CHECKPOINT" --finetune=head \
  --learning_rate="${HEAD_RATE:-0.01}"
evaluate head validation
train all "${ALL_STEPS:-1000}" "${NETWORK[@]}" --checkpoint_path="$DIR/head" --batch_norm_decay=0.99 \
  --learning_rate="${ALL_RATE:-0.001}" --learning_rate_decay_type=fixed
evaluate all validation
export_and_predict all validation
