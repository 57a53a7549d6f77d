#!/usr/bin/env bash
# A pretrained network on pictures of your own: first its head alone, then all of it.
#
#   scripts/finetune_on_folder.sh PICTURES [FOLDER]        (default: build/finetune_on_folder)
#
# PICTURES has a folder of pictures for each class, or these below train/ and validation/.
# Environment: see recipe.sh; MODEL_NAME (inception_v1), ARCHIVE
# (inception_v1_2016_08_28.tar.gz; others in docs/checkpoints.md) or CHECKPOINT, a checkpoint of that network that you have;
# HEAD_STEPS (1000), ALL_STEPS (1000), HEAD_RATE (0.01), ALL_RATE (0.001). SOURCE_DIR, if given, holds ARCHIVE.
# Hardware: a GPU, or a CPU and patience. Time: about 45 minutes on 2 CPU cores, estimated from that of a step.
# Result: depends on the pictures; with fewer than some hundred a class, compare head and all before you choose. Verified
# here: every step, on real pictures of digits.
PICTURES="${1:?the folder of pictures, PICTURES/<class>/<image>}"
PICTURES="$(cd "$PICTURES" && pwd)"
. "$(dirname "${BASH_SOURCE[0]}")/recipe.sh" finetune_on_folder "${@:2}"

NETWORK=(--model_name="${MODEL_NAME:-inception_v1}" --batch_size="${BATCH_SIZE:-32}" --optimizer=rmsprop)
SOURCE_DIR="$PICTURES" get_data folder
[ -n "${CHECKPOINT:-}" ] || get_checkpoint "${ARCHIVE:-inception_v1_2016_08_28.tar.gz}"
train head "${HEAD_STEPS:-1000}" "${NETWORK[@]}" --checkpoint_path="$CHECKPOINT" --finetune=head \
  --learning_rate="${HEAD_RATE:-0.01}"
evaluate head validation
train all "${ALL_STEPS:-1000}" "${NETWORK[@]}" --checkpoint_path="$FOLDER/head" --batch_norm_decay=0.99 \
  --learning_rate="${ALL_RATE:-0.001}" --learning_rate_decay_type=fixed
evaluate all validation
export_and_predict all validation
