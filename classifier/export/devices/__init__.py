"""What devices need to know of a TFLite file: metadata, operators, memory."""
