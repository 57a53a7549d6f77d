"""A session's run as a timeline that chrome://tracing shows."""

import json
import os

import tensorflow as tf


def write_timeline(path: str | os.PathLike[str], run_metadata: tf.compat.v1.RunMetadata) -> None:
    """Writes the operations of a run, one row per device, in Chrome's trace event format.

    Args:
      path: of the JSON file.
      run_metadata: of a run with `trace_level=FULL_TRACE`.
    """
    events: list[dict[str, object]] = []
    for row, device in enumerate(run_metadata.step_stats.dev_stats):
        name = {"name": "process_name", "ph": "M", "pid": row, "args": {"name": device.device}}
        events.append(name)
        for node in device.node_stats:
            events.append(
                {
                    "name": node.node_name,
                    "cat": "Op",
                    "ph": "X",
                    "pid": row,
                    "tid": node.thread_id,
                    "ts": node.all_start_micros,
                    "dur": node.all_end_rel_micros,
                    "args": {"label": node.timeline_label},
                }
            )
    with tf.io.gfile.GFile(os.fspath(path), "w") as file:
        file.write(json.dumps({"traceEvents": events}))
