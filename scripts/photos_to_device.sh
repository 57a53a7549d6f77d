#!/usr/bin/env bash
# From photographs to a phone or a board: fine-tunes a network, and writes a checked 8-bit TFLite file and a C array.
#
#   scripts/photos_to_device.sh IMAGES [DIR]        (default: build/photos_to_device)
#
# IMAGES contains a directory of images for each class, or train/ and validation/ with such directories.
# DIR/export gets MODEL_int8.tflite (pixels as input, metadata inside), MODEL.tflite, c_array/ and README.md, the model
# card; DIR/report a report of the errors. Steps that are complete are not repeated.
# Environment: MODEL_NAME (mobilenet_v1), ARCHIVE (mobilenet_v1_1.0_224.tgz; others in docs/checkpoints.md) or CHECKPOINT,
# an existing checkpoint of that network; HEAD_STEPS (150), ALL_STEPS (80), MAX_DROP (2), points of accuracy that 8 bits
# may cost. SOURCE_DIR, if set, contains ARCHIVE.
# Hardware: 2 CPU cores. Time: under 10 minutes for 300 images, without installation and download.
# Result: fails if the 8-bit file loses more than MAX_DROP points on the held-out images.
# Verified: on 15 classes of 20 crops of photographs each, with the published weights.
LOCK=dev # with LiteRT, which checks the files
. "$(dirname "${BASH_SOURCE[0]}")/recipe.sh" photos_to_device "$@"

MODEL_NAME="${MODEL_NAME:-mobilenet_v1}"
NETWORK=(--model_name="$MODEL_NAME" --batch_size="${BATCH_SIZE:-32}" --optimizer=adam --opt_epsilon=1e-7)
IMAGE_SIZE="${IMAGE_SIZE:-128}"

# once NAME command: runs a command unless it is complete.
once() {
  [ -e "$DIR/complete/$1" ] || { "${@:2}" && mkdir -p "$DIR/complete" && : >"$DIR/complete/$1"; }
}

SOURCE_DIR="$INPUT" get_data folder
if [ ! -e "$DIR/complete/head" ] && [ -z "${CHECKPOINT:-}" ]; then
  get_checkpoint "${ARCHIVE:-mobilenet_v1_1.0_224.tgz}"
fi
once head train head "${HEAD_STEPS:-150}" "${NETWORK[@]}" --checkpoint_path="${CHECKPOINT:-}" --finetune=head \
  --learning_rate=0.003 --learning_rate_decay_type=fixed
once all train all "${ALL_STEPS:-80}" "${NETWORK[@]}" --checkpoint_path="$DIR/head" --freeze_batch_norm \
  --learning_rate=0.0001 --learning_rate_decay_type=cosine --decay_steps="${ALL_STEPS:-80}" --end_learning_rate=0.000001
once report slim eval_image_classifier --checkpoint_path="$DIR/all" --dataset_dir="$DATA" \
  --dataset_split_name=validation --eval_json="$DIR/accuracy.json" --report_dir="$DIR/report"
once export slim export_inference_graph --checkpoint_path="$DIR/all" --output_dir="$DIR/export" \
  --formats=tflite,tflite_int8,c_array --input_type=uint8_image --dataset_dir="$DATA" --check_images=1000 \
  --max_drop="${MAX_DROP:-2}" --eval_json="$DIR/accuracy.json"
printf '%s\n' "model $DIR/export/${MODEL_NAME}_int8.tflite" "C array $DIR/export/c_array" \
  "report $DIR/report" "model card $DIR/export/README.md"
