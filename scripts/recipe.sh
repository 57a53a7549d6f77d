# Sourced by the recipes, with the name of their default directory: . "$(dirname "${BASH_SOURCE[0]}")/recipe.sh" NAME "$@"
#
# --help prints a recipe's header, with the list below. The line of the header with its path is its syntax: [DIR], or a
# required directory, which becomes INPUT, and [DIR].
#
# Further environment variables:
#   SOURCE_DIR  directory with the archives of the data and the pretrained checkpoint; default: download them
#   PYTHON      interpreter with the packages; default: in a checkout .venv, created by environment.sh, else python3
#   BATCH_SIZE  batch size
#   IMAGE_SIZE  height and width of the training images; default: the network's
# Run a recipe again to resume it.
set -euo pipefail
unset CDPATH # cd would print
SCRIPTS="$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)"
RECIPE="$(basename "$0" .sh)"
NAME="$1"
shift
SYNTAX="$(sed -n "s|^# *scripts/$RECIPE.sh ||p" "$0" | tr -s ' ')"

usage_error() {
  echo "$RECIPE: $1. Usage: $0 $SYNTAX" >&2
  exit 2
}

for argument; do
  case "$argument" in
    -h | --help)
      sed -n '2,/^[^#]/s/^# \{0,1\}//p' "$0"
      ! grep -q '^# Environment: ' "$0" || sed -n '/^# Further/,/^[^#]/s/^# \{0,1\}//p' "${BASH_SOURCE[0]}"
      exit
      ;;
    -*) usage_error "unknown option $argument" ;;
  esac
done
INPUT="${SYNTAX%% *}"
if [ "$INPUT" = "[DIR]" ]; then
  INPUT=""
else
  [ $# != 0 ] || usage_error "$INPUT is missing"
  [ -d "$1" ] || usage_error "$1 is not a directory"
  INPUT="$(cd "$1" && pwd)"
  shift
fi
[ $# -le 1 ] || usage_error "unexpected argument $2"
if [ -f "$SCRIPTS/environment.sh" ]; then # a checkout
  ROOT="$(dirname "$SCRIPTS")"
  [ -n "${PYTHON:-}" ] || . "$SCRIPTS/environment.sh" "${LOCK:-base}" # without an argument it would see ours
  DIR="${1:-$ROOT/build/$NAME}"
  slim() { "$PYTHON" "$ROOT/$1.py" "${@:2}"; }
  fetch() { PYTHONPATH="$ROOT${PYTHONPATH:+:$PYTHONPATH}" "$PYTHON" -m classifier.checkpoints fetch "$@"; }
else
  DIR="${1:-build/$NAME}"
  PYTHON="${PYTHON:-python3}"
  slim() { "$PYTHON" -P -m "slim.scripts.$1" "${@:2}"; }
  fetch() { "$PYTHON" -P -m slim.classifier.checkpoints fetch "$@"; }
fi
mkdir -p "$DIR"
DIR="$(cd "$DIR" && pwd)"
DATA="$DIR/data"

# get_data DATASET [flags]: downloads and converts a dataset.
get_data() {
  DATASET="$1"
  slim download_and_convert_data --dataset_name="$DATASET" --dataset_dir="$DATA" \
    ${SOURCE_DIR:+"--source_dir=$SOURCE_DIR"} "${@:2}"
}

# get_checkpoint ARCHIVE: downloads a published checkpoint and sets CHECKPOINT to its path.
get_checkpoint() {
  CHECKPOINT="$(fetch "$1" "$DIR/pretrained" ${SOURCE_DIR:+"--source_dir=$SOURCE_DIR"} | tail -n 1)"
}

# train RUN STEPS [flags]: trains up to STEPS in DIR/RUN.
train() {
  slim train_image_classifier --train_dir="$DIR/$1" --dataset_name="$DATASET" --dataset_dir="$DATA" \
    --max_number_of_steps="$2" ${IMAGE_SIZE:+"--train_image_size=$IMAGE_SIZE"} --save_interval_secs=60 "${@:3}"
}

# evaluate RUN SPLIT: prints the accuracy and saves it to RUN/SPLIT.json.
evaluate() {
  slim eval_image_classifier --checkpoint_path="$DIR/$1" --dataset_dir="$DATA" --dataset_split_name="$2" \
    --eval_json="$DIR/$1/$2.json"
}

# export_and_predict RUN SPLIT: exports, and classifies some images with the export and with the checkpoint.
export_and_predict() {
  local number export="$DIR/export" # an existing export is never replaced: later runs write export-2, export-3, ...
  for ((number = 2; ; number++)); do
    [ -e "$export" ] || [ -L "$export" ] || break
    export="$DIR/export-$number"
  done
  slim export_inference_graph --checkpoint_path="$DIR/$1" --output_dir="$export" \
    --formats=frozen_pb,saved_model --input_type=encoded_image
  "$PYTHON" "$SCRIPTS/try_export.py" "$export" "$DATA" "$2" "$DIR/images"
  slim predict_image_classifier --checkpoint_path="$DIR/$1" --images="$DIR/images" --top_k=1
}
