"""Which test proves that a flag acts.

A new flag is a word in the text behind the test that changes it and sees the difference, or a new
line with that test.
"""

import ast

from tests import source_tree

_INPUTS, _FIT = "classifier/inputs", "classifier/training"
_HOOKS = "classifier/training/hooks"
_TRAINING = "classifier/training/test_training_options.py"
_ACT = "classifier/training/test_flags_act.py"
_BAD = "end_to_end/test_bad_input.py"
_BATCH_NORM = "classifier/training/test_batch_norm.py"
_CARD = "classifier/export/test_model_card.py"
_CHECKS = "classifier/export/test_checks.py"
_DISTILLATION = "classifier/training/test_distillation.py"
_EVAL = "classifier/inference/test_eval_flags_act.py"
_FEATURES = "classifier/inference/test_features.py"
_SERIES = "classifier/inference/test_checkpoint_series.py"
_GRAPH = "classifier/export/test_graph.py"
_GRAPH_OPTIONS = "classifier/export/test_options.py"
_LIMITS = "classifier/test_image_limits.py"
_ORIGINALS = "classifier/export/test_originals.py"
_PIPELINE = "end_to_end/test_pipeline.py"
_PREDICT = "classifier/inference/test_predict.py"
_QUANTIZE = "classifier/training/test_quantize_delay.py"
_REPORT = "classifier/report/test_evaluated.py"
_RESOLVE = "classifier/resolve/test_training.py"
_RUN = "classifier/training/test_run_flags_act.py"
_SOURCE = "classifier/resolve/test_dataset_source.py"
_LISTS = "datasets/test_image_lists.py"
_SERVE = "classifier/serving/test_options.py"
_SERVE_LIMITS = "classifier/serving/test_limits.py"
_TRAINED = "classifier/resolve/test_trained.py"
_VALIDATION = "end_to_end/test_validation.py"
_SCHEDULES = "classifier/training/test_schedules.py"
_SEVERAL = "classifier/training/test_several_labels.py"
_LABELS = "classifier/inference/test_several_classes.py"
_CLUSTERS = "end_to_end/test_clusters.py"
_WORKERS = "end_to_end/test_workers.py"
_CLUSTER = "classifier/resolve/test_cluster.py"
_WARM = "classifier/training/test_warm_start.py"

# Script -> test -> the flags that it proves to act.
PROOFS: dict[str, dict[str, str]] = {
    "train_image_classifier": {
        f"{_SOURCE}::test_each_option_changes_the_images": (
            "dataset_file labels_file file_pattern validation_fraction split_seed folds fold"
        ),
        f"{_LIMITS}::test_max_pixels_acts_in_train": "max_pixels",
        f"{_ACT}::test_an_option_of_an_optimizer_changes_its_updates": (
            "adadelta_rho adagrad_initial_accumulator_value adam_beta1 adam_beta2 opt_epsilon"
            " ftrl_learning_rate_power ftrl_initial_accumulator_value ftrl_l1 ftrl_l2 momentum"
            " rmsprop_momentum rmsprop_decay adamw_epsilon optimizer_weight_decay lion_beta1"
            " lion_beta2 muon_momentum adafactor_beta2_decay adafactor_clip_threshold"
        ),
        f"{_ACT}::test_an_option_of_the_step_changes_the_weights": (
            "weight_decay label_smoothing clip_gradient_norm"
        ),
        f"{_ACT}::test_batches_depend_on_split_seed_and_preprocessing": (
            "dataset_split_name seed preprocessing_name train_image_size"
        ),
        f"{_RUN}::test_checkpoints_are_saved_and_kept_at_their_intervals": (
            "steps_per_loop save_interval_secs save_interval_steps save_interval_epochs max_to_keep"
            " keep_checkpoint_every_n_hours"
        ),
        f"{_SEVERAL}::test_the_loss_and_its_parameters_are_options": (
            "loss focal_gamma focal_alpha asymmetric_gamma_positive asymmetric_gamma_negative"
            " asymmetric_clip"
        ),
        f"{_SEVERAL}::test_labels_of_one_class_may_be_trained_as_several_and_not_resumed_as_one": (
            "multi_label"
        ),
        f"{_ACT}::test_moving_average_decay_changes_the_averages": "moving_average_decay",
        f"{_RUN}::test_summaries_are_written_at_the_interval": "save_summaries_secs",
        f"{_ACT}::test_learning_rate_decay_factor": "learning_rate_decay_factor",
        f"{_DISTILLATION}::test_the_loss_is_that_of_numpy": (
            "distillation_weight distillation_temperature"
        ),
        f"{_DISTILLATION}::test_the_network_of_the_teacher": (
            "teacher_checkpoint_path teacher_model_name"
        ),
        f"{_SCHEDULES}::test_cosine_with_restarts_equals_keras": (
            "restart_period_factor restart_rate_factor"
        ),
        f"{_SCHEDULES}::test_one_cycle_is_linear_between_its_points": (
            "one_cycle_start_factor one_cycle_peak"
        ),
        f"{_TRAINING}::test_the_learning_rate_follows_its_flags": (
            "learning_rate learning_rate_decay_type end_learning_rate decay_steps piecewise_steps"
            " piecewise_rates warmup_steps"
        ),
        f"{_TRAINING}::test_max_number_of_epochs_ends_the_run": (
            "max_number_of_epochs batch_size log_every_n_steps"
        ),
        f"{_TRAINING}::test_evaluations_at_the_interval_and_at_the_end": "eval_every_steps",
        f"{_TRAINING}::test_newer_optimizers_train_and_save_their_slots": "optimizer",
        f"{_TRAINING}::test_four_accumulated_batches_of_8_equal_one_of_32": "accumulate_steps",
        f"{_TRAINING}::test_learning_rate_multipliers_by_scope": "learning_rate_multipliers",
        f"{_TRAINING}::test_xla_and_determinism_are_enabled": "jit_compile deterministic",
        f"{_TRAINING}::test_class_weights_and_balanced_sampling_change_the_run": (
            "class_weights balanced_sampling"
        ),
        f"{_TRAINING}::test_recomputed_gradients_give_the_same_losses": "recompute_gradients",
        f"{_QUANTIZE}::test_rounding_starts_after_the_delay": (
            "quantize_delay quantize_delay_epochs"
        ),
        f"{_INPUTS}/test_bad_images.py::test_a_run_leaves_them_out_and_names_them": "on_bad_image",
        f"{_INPUTS}/test_bad_images.py::test_too_many_stop_the_run": "max_bad_fraction",
        f"{_INPUTS}/test_cache.py::test_a_run_reads_the_copies": "cache",
        f"{_INPUTS}/test_data_service.py::test_a_run_trains_on_them": "data_service",
        f"{_HOOKS}/test_image_grid.py::test_a_run_writes_its_images": "summarize_images",
        f"{_HOOKS}/test_profiler.py::test_a_run_writes_a_trace": "profile_steps",
        f"{_HOOKS}/test_curves.py::test_a_run_draws_its_curves": "plot_curves",
        f"{_RUN}::test_durations_in_epochs": (
            "num_epochs_per_decay piecewise_epochs warmup_epochs decay_per_clone"
        ),
        f"{_RUN}::test_data_and_network": "dataset_name use_grayscale model_name",
        f"{_RUN}::test_labels_offset_trains_the_same_classes": "labels_offset dataset_dir",
        f"{_RESOLVE}::test_a_network_may_have_more_logits_than_the_dataset_has_classes": (
            "num_classes"
        ),
        f"{_RUN}::test_shards_are_read_in_parallel": "num_readers",
        f"{_RUN}::test_images_are_preprocessed_in_parallel": "num_preprocessing_threads",
        f"{_RUN}::test_the_shuffle_buffer_changes_the_order": "shuffle_buffer_mb",
        f"{_INPUTS}/test_mixing.py::test_the_flags_change_a_run": "mixup_alpha cutmix_alpha",
        f"{_INPUTS}/test_mixing.py::test_each_option_changes_the_images": (
            "auto_augment rand_augment rand_augment_layers random_erasing random_crop random_flip"
            " color_distortion"
        ),
        "classifier/training/test_finetune_auto.py::test_layer_decay_changes_the_updates": (
            "layer_decay"
        ),
        f"{_WARM}::test_finetune_head_trains_only_the_head": "finetune",
        f"{_WARM}::test_missing_variables_name_the_flag": "ignore_missing_vars",
        f"{_WARM}::test_checkpoint_scope_map_renames_several_scopes": "checkpoint_scope_map",
        f"{_BATCH_NORM}::test_frozen_batch_norm_trains_only_its_parameters": ("freeze_batch_norm"),
        f"{_BATCH_NORM}::test_decay_and_updates_outside_the_trainable_scopes": (
            "batch_norm_decay update_frozen_batch_norm"
        ),
        f"{_RESOLVE}::test_decay_per_clone_with_sync_replicas_counts_the_aggregated_workers": (
            "sync_replicas replicas_to_aggregate"
        ),
        f"{_CLUSTER}::test_parameter_servers_follow_the_coordinator_and_the_workers": (
            "num_ps_tasks"
        ),
        f"{_FIT}/test_on_nan.py::test_a_diverging_run_rolls_back_up_to_the_limit_and_stops": (
            "on_nan max_nan_restores"
        ),
        f"{_HOOKS}/test_watchdog.py::test_watchdog_minutes_is_the_timeout": "watchdog_minutes",
        f"{_RUN}::test_clones_on_the_cpu": "clone_on_cpu",
        f"{_CLUSTER}::test_a_source_without_its_variables_is_an_error": "cluster",
        f"{_CLUSTER}::test_the_first_port_is_an_option": "cluster_port",
        "classifier/cluster/test_watch.py::test_a_silent_worker_is_lost_after_the_timeout": (
            "worker_timeout_secs"
        ),
        "classifier/cluster/test_watch.py::test_a_public_address_needs_permission": (
            "allow_public_bind"
        ),
        f"{_CLUSTERS}::test_synchronized_batch_norm": "sync_batch_norm split_cpu",
        f"{_FIT}/test_devices.py::test_the_options_of_the_reduction_reach_the_step": (
            "all_reduce all_reduce_dtype all_reduce_bucket_mb"
        ),
        f"{_WORKERS}::test_two_workers_train_as_two_clones": (
            "num_clones worker_replicas master task"
        ),
        f"{_BAD}::test_starts_from_a_checkpoint_and_trains_one_scope": (
            "checkpoint_path checkpoint_exclude_scopes trainable_scopes"
        ),
        "end_to_end/test_compute_dtype.py::test_float16_run_logs_its_loss_scale": ("compute_dtype"),
        "end_to_end/test_resume.py::test_resume_after_two_sigkills_is_bit_identical": "train_dir",
        f"{_FIT}/test_backup.py::test_restart_moves_the_previous_run_to_a_backup": "restart",
        "end_to_end/test_resume.py::test_complete_run_stays_unchanged": "max_number_of_steps",
        f"{_VALIDATION}::test_evaluates_at_each_interval_and_at_the_end": "eval_every_epochs",
        f"{_RUN}::test_eval_split_name_selects_the_split": "eval_split_name",
        f"{_VALIDATION}::test_early_stopping_ends_the_run_also_when_it_is_resumed": (
            "early_stopping_patience"
        ),
    },
    "eval_image_classifier": {
        f"{_SOURCE}::test_each_option_changes_the_images": (
            "dataset_file labels_file file_pattern validation_fraction split_seed folds fold"
        ),
        f"{_REPORT}::test_a_report_shows_the_evaluation_and_the_run": "report_dir",
        f"{_REPORT}::test_a_report_replaces_a_report_and_limits_thumbnails": "report_thumbnails",
        f"{_REPORT}::test_near_duplicates_of_another_split_are_searched": "report_duplicates_of",
        f"{_LIMITS}::test_max_pixels_acts_in_eval": "max_pixels",
        f"{_VALIDATION}::test_metrics_equal_those_of_the_evaluation_script": "eval_json",
        f"{_EVAL}::test_evaluated_images_and_batches": "checkpoint_path dataset_split_name",
        f"{_EVAL}::test_how_many_images": "batch_size max_num_batches",
        f"{_EVAL}::test_clones": "num_clones clone_on_cpu split_cpu",
        f"{_CLUSTERS}::test_an_evaluation_is_that_of_one_clone": "worker_replicas master task",
        f"{_CLUSTER}::test_a_source_without_its_variables_is_an_error": "cluster",
        f"{_CLUSTER}::test_the_first_port_is_an_option": "cluster_port",
        "classifier/cluster/test_watch.py::test_a_silent_worker_is_lost_after_the_timeout": (
            "worker_timeout_secs"
        ),
        "classifier/cluster/test_watch.py::test_a_public_address_needs_permission": (
            "allow_public_bind"
        ),
        f"{_EVAL}::test_another_dataset_and_its_colours": "dataset_name use_grayscale",
        f"{_EVAL}::test_labels_that_begin_at_one": "dataset_dir labels_offset",
        f"{_EVAL}::test_the_model_where_nothing_describes_it": (
            "model_name preprocessing_name moving_average_decay"
        ),
        f"{_TRAINED}::test_a_dataset_may_lack_classes_of_a_network_with_more_logits": "num_classes",
        f"{_EVAL}::test_the_image_size": "eval_image_size",
        f"{_EVAL}::test_where_events_go": "eval_dir",
        f"{_EVAL}::test_images_are_prepared_side_by_side": "num_preprocessing_threads",
        f"{_EVAL}::test_train_dir_is_enough": "train_dir",
        f"{_EVAL}::test_a_row_for_each_image": "predictions_csv",
        f"{_EVAL}::test_averages_and_weights": "use_averages",
        f"{_EVAL}::test_crops_and_mirror_images": "flip num_crops",
        f"{_EVAL}::test_a_calibration_acts_in_prediction_and_exports": "calibrate",
        f"{_EVAL}::test_bad_images_are_skipped_and_named": "on_bad_image",
        f"{_SERIES}::test_a_loop_evaluates_each_checkpoint_until_the_last_step": "eval_loop",
        f"{_SERIES}::test_a_loop_checks_for_checkpoints_at_the_interval": "eval_interval_secs",
        f"{_SERIES}::test_a_loop_ends_after_the_timeout": "timeout_secs",
        f"{_QUANTIZE}::test_evaluation_during_training_rounds": "quantize",
        f"{_LABELS}::test_options_describe_a_model_without_model_info": "multi_label",
        "classifier/inference/test_precise_batch_norm.py::test_the_evaluation_says_both": (
            "recalibrate_batch_norm"
        ),
    },
    "export_inference_graph": {
        f"{_SOURCE}::test_each_option_changes_the_images": (
            "dataset_file labels_file file_pattern validation_fraction split_seed folds fold"
        ),
        f"{_LIMITS}::test_max_pixels_acts_in_export": "max_pixels",
        f"{_GRAPH_OPTIONS}::test_classes_and_channels": (
            "dataset_name dataset_dir labels_offset num_classes use_grayscale"
        ),
        f"{_GRAPH_OPTIONS}::test_network_and_images": "model_name image_size batch_size",
        f"{_LABELS}::test_an_export_without_model_info_has_sigmoids": "multi_label",
        f"{_GRAPH_OPTIONS}::test_text": "write_text_graphdef output_file",
        f"{_GRAPH_OPTIONS}::test_videos": "is_video_model num_frames",
        f"{_GRAPH}::test_options_of_training_are_an_error": "is_training",
        f"{_QUANTIZE}::test_a_graph_without_weights_rounds_weights_that_are_fed": "quantize",
        "classifier/export/test_averages.py::test_the_averages_take_the_place_of_the_weights": (
            "moving_average_decay"
        ),
        "classifier/export/test_formats.py::test_preprocessing_inside_a_frozen_graph": "input_type",
        f"{_ORIGINALS}::test_the_preprocessing_that_the_options_name": "preprocessing_name",
        "classifier/export/test_formats.py::test_frozen_graphs_count_their_ops": "fold_batch_norm",
        "classifier/export/test_endpoint.py::test_a_frozen_graph_ends_at_an_end_point": (
            "final_endpoint"
        ),
        f"{_CARD}::test_the_card_of_a_run_that_evaluated_itself": "license",
        f"{_CARD}::test_an_evaluation_by_the_script_comes_first": "eval_json",
        f"{_CHECKS}::test_the_images_are_of_the_split_that_the_options_say": (
            "check_images dataset_split_name"
        ),
        f"{_CHECKS}::test_accuracy_may_fall_by_max_drop": "max_drop",
        "classifier/export/test_tflite.py::test_more_images_calibrate_a_wider_range": (
            "calibration_images"
        ),
        f"{_PIPELINE}::test_exports_and_predicts": "checkpoint_path output_dir",
        f"{_PIPELINE}::test_frozen_graph_has_tf_slims_tensor_names": "formats",
    },
    "predict_image_classifier": {
        f"{_LIMITS}::test_max_pixels_acts_in_predict": "max_pixels",
        f"{_TRAINED}::test_options_describe_a_model_without_model_info": (
            "preprocessing_name num_classes use_grayscale moving_average_decay quantize"
            " labels_offset"
        ),
        f"{_TRAINED}::test_published_networks_have_the_names_of_imagenets_classes": "image_size",
        f"{_LABELS}::test_options_describe_a_model_without_model_info": "multi_label",
        f"{_PREDICT}::test_answers_are_in_the_order_of_the_paths": "batch_size",
        f"{_PREDICT}::test_clones_answer_like_one": "num_clones clone_on_cpu split_cpu",
        f"{_PREDICT}::test_threads_act": "num_preprocessing_threads",
        f"{_PREDICT}::test_an_image_list_acts": "image_list",
        f"{_PREDICT}::test_output_formats_act": "output_format images",
        f"{_PREDICT}::test_each_bad_image_is_a_row_and_the_others_are_answered": (
            "output_csv top_k"
        ),
        "classifier/inference/test_exported.py::test_a_frozen_graph": "checkpoint_path",
        "classifier/inference/test_explanations.py::test_each_image_has_an_overlay_and_its_class": (
            "explain_dir"
        ),
        "classifier/inference/test_explanations.py::test_the_end_point_is_an_option": (
            "explain_end_point"
        ),
        "classifier/inference/test_exported.py::"
        "test_a_graph_of_another_program_needs_its_network": "model_name",
        f"{_FEATURES}::test_features_of_an_end_point": "features features_file",
        f"{_FEATURES}::test_neighbors_of_images_of_the_dataset_are_themselves": (
            "neighbors neighbors_split"
        ),
    },
    "classifier/serve": {
        f"{_SERVE}::test_the_version_is_the_training_step_or_1": "checkpoint_path",
        f"{_SERVE}::test_the_address_is_an_option": "host port",
        f"{_SERVE}::test_a_public_address_needs_confirmation": "public",
        f"{_SERVE}::test_the_name_in_the_paths_is_an_option": "served_model_name",
        "classifier/serving/test_server.py::test_the_number_of_classes_is_an_option": "top_k",
        "classifier/serving/test_server.py::test_all_of_several_labels_are_the_answer": (
            "multi_label"
        ),
        f"{_SERVE_LIMITS}::test_max_pixels_acts": "max_pixels",
        f"{_SERVE}::test_requests_share_batches": "max_batch_size",
        f"{_SERVE}::test_the_batch_timeout_acts": "batch_timeout",
        f"{_SERVE}::test_images_are_decoded_in_parallel": "num_preprocessing_threads",
        f"{_SERVE_LIMITS}::test_limits_are_options": "max_request_mb max_instances",
        f"{_SERVE_LIMITS}::test_requests_over_the_limit_are_asked_to_retry": (
            "max_concurrent_requests"
        ),
        f"{_SERVE_LIMITS}::test_a_slow_client_is_disconnected": "client_timeout_secs",
        f"{_SERVE_LIMITS}::test_a_stop_waits_no_longer_than_its_timeout": "stop_timeout_secs",
        f"{_SERVE}::test_a_line_per_request": "access_log",
        f"{_SERVE}::test_options_describe_a_model_without_model_info": (
            "model_name preprocessing_name num_classes labels_offset use_grayscale"
            " moving_average_decay quantize image_size"
        ),
    },
    "download_and_convert_data": {
        f"{_LISTS}::test_a_list_is_converted_once": "dataset_file labels_file",
        "datasets/test_flags.py::test_all_options_reach_the_converters": (
            "dataset_name dataset_dir"
        ),
        "datasets/test_downloaded_datasets.py::test_mnist_is_converted_from_source_dir": (
            "source_dir"
        ),
        "datasets/test_folder.py::test_split_is_stratified_and_reproducible": (
            "validation_fraction split_seed"
        ),
        "datasets/test_folder.py::test_max_pixels_limits_the_size": "max_pixels",
        "datasets/test_folder_of_links.py::test_the_script_converts_links": "multi_label",
        "datasets/test_folder.py::test_conversion_with_and_without_workers_is_identical": (
            "on_bad_image"
        ),
        "datasets/test_visualwakewords.py::test_category_and_threshold_decide_the_labels": (
            "small_object_area_threshold foreground_class_of_interest"
        ),
    },
}


def proofs(script: str) -> dict[str, str]:
    """Returns the test of each flag of a script."""
    return {flag: test for test, flags in PROOFS[script].items() for flag in flags.split()}


def missing(test: str) -> bool:
    """Returns whether there is no such test, `file::name` below tests/."""
    file, _, name = test.partition("::")
    path = source_tree.ROOT / "tests" / file
    if not path.is_file():
        return True
    nodes = ast.walk(source_tree.tree(path))
    return name not in {node.name for node in nodes if isinstance(node, ast.FunctionDef)}
