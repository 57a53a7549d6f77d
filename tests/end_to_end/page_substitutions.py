"""What a reader of the pages writes in place of their paths, step counts and hosts.

He has the datasets `digits` and `imagenet`, directories of images, `images`, of photographs,
`photos`, a run, `trained`, and published checkpoints; see test_page_commands.py. For each page,
texts of its blocks and their replacements, applied in order.
"""

SHORT = "--max_number_of_steps=2 --batch_size=4 --log_every_n_steps=1"
DIGITS = "--dataset_name=digits --dataset_dir=digits"
LENET = f"{DIGITS} --model_name=lenet {SHORT}"
SUBSTITUTIONS = {
    "README.md": {
        "--train_dir=run --dataset_name": f"{SHORT} --train_dir=run --dataset_name",
        "scripts/test.sh  ": "bash -n scripts/test.sh  ",  # would run this test
    },
    "CONTRIBUTING.md": {"make ": "make --dry-run "},  # would run this test
    "checkpoints.md": {
        "--dataset_name=... --dataset_dir=...": "--dataset_name=imagenet --dataset_dir=imagenet",
        "--dataset_dir=...": "--dataset_dir=imagenet",
        "path=P": "path=inception_v3.ckpt",
        "RUN ": "trained ",
    },
    "datasets.md": {
        "NAME --dataset_dir=OUT [--source_dir=SRC]": "digits --dataset_dir=converted",
        "train_image_classifier.py": f"train_image_classifier.py {SHORT}",
        "=SRC": "=images",
        "OUT --train_dir=RUN": "OUT --train_dir=run_of_records",
        "images.csv --train_dir=RUN": "images.csv --train_dir=run_of_list",
    },
    "devices.md": {
        "=TRAIN_DIR": "=trained",
        "=OUT --dataset_dir=DATA": "=export --dataset_dir=digits",
        "=visualwakewords": "=digits",
        "=DATA": "=digits",
        "=val\n": "=validation\n",
        "=1000000": "=2",
        "--batch_size=96": "--batch_size=4",
    },
    "evaluation.md": {"/tmp/run": "trained"},
    "export.md": {
        "=TRAIN_DIR": "=trained",
        "=resnet_v2_50.ckpt": "=cache/checkpoints/resnet_v2_50_2017_04_14/resnet_v2_50.ckpt",
        "--image_size=299 --output_dir=OUT": "--image_size=299 --output_dir=export",
    },
    "finetuning.md": {
        "train_image_classifier.py": f"train_image_classifier.py {SHORT}",
        "folder --dataset_dir=DATA": "folder --dataset_dir=images",
        "RUN --dataset_name=flowers --dataset_dir=DATA": f"head {DIGITS}",
        "--max_number_of_steps=1000": "",
    },
    "from_tf_slim.md": {"/tmp/run": "run"},
    "many_machines.md": {
        "slim-train ... --worker_replicas=2 --num_ps_tasks=2": (
            f"for task in 0 1 2 3 4; do slim-train --train_dir=servers {LENET} "
            "--worker_replicas=2 --num_ps_tasks=2"
        ),
        "--task=0    # to --task=4": "--task=$task & done; all",
        "slim-train ...": f"slim-train --train_dir=workers {LENET}",
        "--workers=2 --train_dir=/tmp/run \\\n": "--workers=2 --train_dir=first \\\n",
        "--dataset_name=flowers --dataset_dir=/tmp/flowers ...": LENET,
        "--train_dir=/tmp/run --dataset_name=flowers ...": f"--train_dir=asynchronous {LENET}",
        "--task=0    # on host0": "--task=0 &",
        "# on host1": "&& all",
        "slim-eval": "for task in 0 1; do slim-eval",
        "--task=0   # and 1": "--task=$task & done; all",
        "/data/runs/flowers": "trained",
        "/tmp/run": "trained",
        "-n l/4": "-n l/2",
        "-n 4": "-n 2",
    },
    "multi_label.md": {
        "train_image_classifier.py": f"train_image_classifier.py {SHORT}",
        "=SRC": "=images",
        "=CHECKPOINT": "=mobilenet_v2_1.0_224",
        "/tmp/": "",
    },
    "prediction.md": {
        "/tmp/run": "trained",
        "/tmp/flowers": "digits",
        "/photos": "photos",
        "/more": "photos",
        "global_pool": "fc3",  # LeNet has no pool
        "python predict_image_classifier.py --model=OUT/mobilenet_v1": (
            "slim-export --checkpoint_path=trained --output_dir=OUT --formats=onnx\n"
            "python predict_image_classifier.py --model=OUT/lenet"
        ),
        "=mobilenet_v1_1.0_224.ckpt": (
            "=cache/checkpoints/mobilenet_v1_1.0_224/mobilenet_v1_1.0_224.ckpt"
        ),
    },
    "serving.md": {
        "pip install tornado": "python -c 'import tornado'",  # is installed
        "=/tmp/run --port=8501": (
            "=trained --port=PORT0 &\nuntil curl --silent localhost:PORT0; do sleep 1; done"
        ),
        "localhost:8501": "localhost:PORT0",
    },
    "training.md": {
        "NAME --dataset_dir=DATA \\\n    --model_name=mobilenet_v2\n": (
            f"digits --dataset_dir=digits {SHORT} --model_name=mobilenet_v2\n"
        ),
        "=RUN --dataset_name=folder --dataset_dir=DATA": (
            "=other --dataset_name=folder --dataset_dir=images"
        ),
        "=RUN --dataset_name=NAME --dataset_dir=DATA": f"=student {SHORT} {DIGITS}",
        "=TEACHER": "=RUN",  # has three channels, like its student
        "classifier.py ...": f"classifier.py --train_dir=workers {LENET}",
        "--task=0    # on host0": "--task=0 &",
        "# on host1": "&& all",
    },
}
