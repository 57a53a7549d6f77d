#!/usr/bin/env bash
# Downloads and unpacks ILSVRC2012: bounding_boxes/, validation/ and train/<id>/ in DIR.
#
#   datasets/download_imagenet.sh [DIR [SYNSETS]]        (default: imagenet-data synsets.txt)
#
# SYNSETS lists the ids of the classes, one per line. The account at image-net.org is taken from IMAGENET_USERNAME and
# IMAGENET_ACCESS_KEY, or asked for. IMAGENET_URL is the directory of the archives, if they are elsewhere.
# What is complete is not downloaded or unpacked again.
set -euo pipefail
DIR="${1:-./imagenet-data}"
SYNSETS="$(cat "${2:-./synsets.txt}")"
URL="${IMAGENET_URL:-https://image-net.org/data/ILSVRC/2012}"
[ -n "${IMAGENET_USERNAME:-}" ] || read -r -p "User name at image-net.org: " IMAGENET_USERNAME
[ -n "${IMAGENET_ACCESS_KEY:-}" ] || read -r -s -p "Access key: " IMAGENET_ACCESS_KEY
mkdir -p "$DIR"
cd "$DIR"

# download ARCHIVE: resumes an interrupted download.
download() {
  [ ! -e "$1" ] || return 0
  echo "Downloading $1"
  curl --fail --location --retry 5 --continue-at - --output "$1.part" \
    --config <(printf 'user = "%s:%s"\n' "$IMAGENET_USERNAME" "$IMAGENET_ACCESS_KEY") "$URL/$1"
  mv -n "$1.part" "$1"
}

# unpack ARCHIVE DIRECTORY: creates the directory when it is complete.
unpack() {
  [ ! -e "$2" ] || return 0
  local scratch
  scratch="$(mktemp -d "$2.XXXXXX")"
  tar -xf "$1" -C "$scratch"
  chmod 755 "$scratch"
  mv -n "$scratch" "$2"
}

download ILSVRC2012_bbox_train_v2.tar.gz
unpack ILSVRC2012_bbox_train_v2.tar.gz bounding_boxes
download ILSVRC2012_img_val.tar
unpack ILSVRC2012_img_val.tar validation
download ILSVRC2012_img_train.tar
mkdir -p train
for synset in $SYNSETS; do
  [ ! -e "train/$synset" ] || continue
  archives="${archives:-$(mktemp -d archives.XXXXXX)}"
  [ -e "$archives/$synset.tar" ] || tar -xf ILSVRC2012_img_train.tar -C "$archives"
  unpack "$archives/$synset.tar" "train/$synset"
  rm "$archives/$synset.tar"
done
if [ -n "${archives:-}" ]; then
  rm -f "$archives"/n*.tar # classes that SYNSETS does not list
  rmdir "$archives"
fi
