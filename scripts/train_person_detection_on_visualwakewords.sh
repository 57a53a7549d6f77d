#!/usr/bin/env bash
# Trains a person detector for microcontrollers: MobileNet v1 0.25 on grayscale images of 96 x 96, as a C array.
#
#   scripts/train_person_detection_on_visualwakewords.sh [DIR]        (default: build/person_detection)
#
# Environment: STEPS (1000000), DECAY (0.9999, of the moving averages), and those of recipe.sh. SOURCE_DIR, if set,
# contains the three archives of COCO 2014.
# DIR/export gets c_array/ for TensorFlow Lite for Microcontrollers, and the same model as a TFLite file.
# Hardware: a GPU, and 50 GB of disk. Time: not measured.
# Result: prints the accuracy on the validation split; on COCO, it was not measured.
# Verified: every step, on small archives in the original layout.
LOCK=dev # with LiteRT, which checks the files
. "$(dirname "${BASH_SOURCE[0]}")/recipe.sh" person_detection "$@"

IMAGE_SIZE="${IMAGE_SIZE:-96}"
get_data visualwakewords
train run "${STEPS:-1000000}" --model_name=mobilenet_v1_025 --preprocessing_name=mobilenet_v1 --use_grayscale \
  --batch_size="${BATCH_SIZE:-96}" --learning_rate=0.045 --learning_rate_decay_factor=0.98 --num_epochs_per_decay=2.5 \
  --label_smoothing=0.1 --moving_average_decay="${DECAY:-0.9999}" --save_summaries_secs=300
evaluate run val
slim export_inference_graph --checkpoint_path="$DIR/run" --output_dir="$DIR/export" --formats=tflite_int8,c_array \
  --dataset_dir="$DATA" --max_drop="${MAX_DROP:-2}" --eval_json="$DIR/run/val.json"
