"""Folders whose names have blanks, other alphabets, and what a shell or a pattern reads into."""

import shutil

import pytest


@pytest.mark.slow
@pytest.mark.parametrize("name", ["with two  blanks", "Gewichte é 重み", "a[1]*b?{c}"])
def test_a_run_from_data_to_evaluation(train, evaluate, digits, tmp_path, name):
    data, run = tmp_path / f"data {name}", tmp_path / "runs" / name
    shutil.copytree(digits, data)
    done = train(run, dataset_dir=data, max_number_of_steps=1, eval_every_steps=1)
    assert (done.code, done.err) == (0, [])
    done = train(run, dataset_dir=data, max_number_of_steps=2, eval_every_steps=1)
    begins = f"Resuming {run} from step 1 ({run / 'model.ckpt-1'}, saved 0:0"
    assert any(line.startswith(begins) for line in done.out)
    done = evaluate(run, dataset_dir=data)
    assert done.code == 0
    assert f"weights of {run / 'model.ckpt-2'} on" in done.out[0]
    assert {path.name for path in (tmp_path / "runs").iterdir()} == {name}
    done = train(tmp_path / "next", checkpoint_path=run)
    assert done.code == 0
    assert "restored 8, skipped 0, missing 0" in "".join(done.out)
