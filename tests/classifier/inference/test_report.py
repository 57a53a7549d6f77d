from classifier.inference import metrics


def test_results_are_printed_as_scripts_of_tf_slim_expect(capsys):
    evaluation = metrics.Evaluation(
        accuracy=0.93, recall_at_k=0.99, k=5, macro_recall=0.9, loss=0.2, num_images=100
    )
    metrics.report_as_tf_slim(evaluation)
    assert capsys.readouterr().out == "eval/Accuracy[0.93]\neval/Recall_5[0.99]\n"
