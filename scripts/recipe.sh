# Sourced by the recipes, with the name of their folder: . "$(dirname "${BASH_SOURCE[0]}")/recipe.sh" NAME "$@"
#
# Of the environment, a recipe looks at:
#   SOURCE_DIR  folder with the archives of the data and the pretrained checkpoint; without it, they are downloaded
#   PYTHON      interpreter with the packages; without it, .venv is made as scripts/environment.sh does
#   BATCH_SIZE  images of a step
#   IMAGE_SIZE  height and width of the training images; without it, the network's
# and at the numbers of steps that its header names. Run again, it goes on where it stopped.
set -euo pipefail
ROOT="$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)"
[ -n "${PYTHON:-}" ] || . "$ROOT/scripts/environment.sh" base # without an argument it would see ours
mkdir -p "${2:-$ROOT/build/$1}"
FOLDER="$(cd "${2:-$ROOT/build/$1}" && pwd)"
DATA="$FOLDER/data"

slim() { "$PYTHON" "$ROOT/$1.py" "${@:2}"; }

# get_data DATASET [flags]: downloads and converts.
get_data() {
  DATASET="$1"
  slim download_and_convert_data --dataset_name="$DATASET" --dataset_dir="$DATA" \
    ${SOURCE_DIR:+"--source_dir=$SOURCE_DIR"} "${@:2}"
}

# get_checkpoint ARCHIVE: sets CHECKPOINT to a published checkpoint.
get_checkpoint() {
  CHECKPOINT="$("$PYTHON" "$ROOT/scripts/fetch_checkpoint.py" "$1" "$FOLDER/pretrained" ${SOURCE_DIR:+"$SOURCE_DIR"})"
}

# train RUN STEPS [flags]
train() {
  slim train_image_classifier --train_dir="$FOLDER/$1" --dataset_name="$DATASET" --dataset_dir="$DATA" \
    --max_number_of_steps="$2" ${IMAGE_SIZE:+"--train_image_size=$IMAGE_SIZE"} --save_interval_secs=60 "${@:3}"
}

# evaluate RUN SPLIT: prints the accuracy and keeps it in RUN/SPLIT.json.
evaluate() {
  slim eval_image_classifier --checkpoint_path="$FOLDER/$1" --dataset_dir="$DATA" --dataset_split_name="$2" \
    --eval_json="$FOLDER/$1/$2.json"
}

# export_and_predict RUN SPLIT: exports, and names the classes of some pictures with the export and with the checkpoint.
export_and_predict() {
  local number export="$FOLDER/export" # an exported version is never replaced: then export-2, export-3, ...
  for ((number = 2; ; number++)); do
    [ -e "$export" ] || [ -L "$export" ] || break
    export="$FOLDER/export-$number"
  done
  slim export_inference_graph --checkpoint_path="$FOLDER/$1" --output_dir="$export" \
    --formats=frozen_pb,saved_model --input_type=encoded_image
  "$PYTHON" "$ROOT/scripts/try_export.py" "$export" "$DATA" "$2" "$FOLDER/pictures"
  slim predict_image_classifier --checkpoint_path="$FOLDER/$1" --images="$FOLDER/pictures" --top_k=1
}
