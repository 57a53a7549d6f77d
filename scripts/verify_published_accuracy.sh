#!/usr/bin/env bash
# Measures a published checkpoint on the validation images of ImageNet and compares with the published accuracy.
#
#   scripts/verify_published_accuracy.sh IMAGENET [DIR]        (default: build/published_accuracy)
#
# IMAGENET has the validation images as image-net.org distributes them: ILSVRC2012_val_*.JPEG, in the directory itself or
# in validation/ or val/, or ILSVRC2012_img_val.tar; with their classes, ILSVRC2012_devkit_t12.tar.gz or
# imagenet_2012_validation_synset_labels.txt. Or it has TFRecords, validation-00000-of-00128 and so on.
#
# Environment: CHECKPOINT (mobilenet_v1_1.0_224), a name of `slim-checkpoints list`. TOLERANCE (0.5), the largest
# difference of top-1 and top-5 from the published figures, in percentage points. SOURCE_DIR, if set, contains the
# checkpoint's archive.
# Hardware: a GPU; a CPU is sufficient for the MobileNets.
# Time: about 25 minutes for mobilenet_v1_1.0_224 on 2 CPU cores, estimated from the time per image; and once the conversion.
# Result: the published accuracy, within TOLERANCE; else exit code 1.
# Verified: every step, on small images in these formats. Not verified: the accuracy on the 50,000 images.
. "$(dirname "${BASH_SOURCE[0]}")/recipe.sh" published_accuracy "$@"

CHECKPOINT="${CHECKPOINT:-mobilenet_v1_1.0_224}"
RESULT="$DIR/$CHECKPOINT.json"
fetch "$CHECKPOINT" ${SOURCE_DIR:+"--source_dir=$SOURCE_DIR"}
if compgen -G "$INPUT/validation-*-of-*" >/dev/null; then
  DATA="$INPUT"
else
  SOURCE="$INPUT"
  if compgen -G "$INPUT/ILSVRC2012_val_*.JPEG" >/dev/null; then # the converter expects them in a directory of their own
    SOURCE="$DIR/source"
    mkdir -p "$SOURCE/validation"
    find "$INPUT" -maxdepth 1 -name 'ILSVRC2012_val_*.JPEG' -exec ln -sft "$SOURCE/validation" {} +
    find "$INPUT" -maxdepth 1 -type f ! -name '*.JPEG' -exec ln -sft "$SOURCE" {} +
  fi
  slim download_and_convert_data --dataset_name=imagenet --dataset_dir="$DATA" --source_dir="$SOURCE"
fi
slim eval_image_classifier --checkpoint_path="$CHECKPOINT" --dataset_name=imagenet --dataset_dir="$DATA" \
  --dataset_split_name=validation --eval_json="$RESULT" ${BATCH_SIZE:+"--batch_size=$BATCH_SIZE"}
PYTHONPATH="${ROOT:-}${PYTHONPATH:+:$PYTHONPATH}" "$PYTHON" - "$RESULT" "$CHECKPOINT" "${TOLERANCE:-0.5}" <<'END'
import importlib.util
import json
import sys

path, name, tolerance = sys.argv[1:]
if importlib.util.find_spec("nets") is not None and importlib.util.find_spec("nets.published"):
    from nets import published  # a checkout
else:
    from slim.nets import published
with open(path, encoding="utf-8") as file:
    results = json.load(file)
row, images, agree = published.named(name), results["num_images"], True
for title, measured, figure in [
    ("top-1", results["accuracy"], row.top_1), ("top-5", results["recall_at_k"], row.top_5)
]:
    text = "no published figure"
    if figure is not None:
        difference = 100 * measured - figure
        agree &= abs(difference) <= float(tolerance)
        text = f"published {figure:.1f} %, difference {difference:+.2f}"
    print(f"{name} {title}: {100 * measured:.2f} % of {images} images; {text}")
if images != 50_000:
    print(f"The published figures are of 50,000 images, these of {images}.")
sys.exit(0 if agree else 1)
END
