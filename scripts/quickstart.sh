#!/usr/bin/env bash
# Installs slim, then trains, evaluates, exports and runs a classifier of handwritten digits.
#
#   scripts/quickstart.sh [DIR]        (default: build/quickstart in the checkout)
#
# Hardware: 2 CPU cores. Time: a few minutes, mostly for the installation.
# Result: a validation accuracy of at least 0.97, checked at the end. Run it again to resume.
. "$(dirname "${BASH_SOURCE[0]}")/recipe.sh" quickstart "$@"

slim download_and_convert_data --dataset_name=digits --dataset_dir="$DIR/data"
slim train_image_classifier --train_dir="$DIR/run" \
  --dataset_name=digits --dataset_dir="$DIR/data" --model_name=lenet \
  --optimizer=momentum --learning_rate=0.01 --learning_rate_decay_type=polynomial \
  --num_epochs_per_decay=22 --max_number_of_steps=1000 --log_every_n_steps=50 --save_interval_secs=30
slim eval_image_classifier --checkpoint_path="$DIR/run" \
  --dataset_dir="$DIR/data" --dataset_split_name=validation --eval_json="$DIR/accuracy.json"
EXPORT="$DIR/export" # an existing export is never replaced: later runs write export-2, export-3, ...
for ((number = 2; ; number++)); do
  [ -e "$EXPORT" ] || [ -L "$EXPORT" ] || break
  EXPORT="$DIR/export-$number"
done
slim export_inference_graph --checkpoint_path="$DIR/run" --output_dir="$EXPORT" \
  --formats=frozen_pb,saved_model
slim predict_image_classifier --checkpoint_path="$DIR/run" --images="$DIR/data/samples" --top_k=1
"$PYTHON" - "$DIR/accuracy.json" <<'PYTHON'
import json
import sys

accuracy = json.load(open(sys.argv[1]))["accuracy"]
sys.exit(f"accuracy {accuracy:.3f} is below 0.97" if accuracy < 0.97 else 0)
PYTHON
