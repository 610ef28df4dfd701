"""What a run does to its machine is kept beside its history."""

import threading
from pathlib import Path

import pytest

from gbench.errors import DataError
from gbench.sampling import SYSTEM_FILE, Sampler, read_samples, sampled


def test_columns_have_one_length_and_time_goes_on(tmp_path: Path) -> None:
    with sampled([tmp_path], resumed=False):
        held = bytearray(30_000_000)
    samples = read_samples(tmp_path)
    assert {len(values) for values in samples.values()} == {1}, "one at the end at least"
    assert samples["process_memory_megabytes"][0] > len(held) / 1e6
    assert 0 < samples["system_memory_usage_percentage"][0] <= 100
    assert not [thread for thread in threading.enumerate() if thread.name == "gbench-sampling"]


def test_a_long_run_has_as_many_samples_as_a_file_should_hold(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("gbench.sampling.MOST_SAMPLES", 8)
    sampler, enough = Sampler(seconds=1e-4), threading.Event()
    sample = sampler._sample

    def count() -> None:
        sample()
        if sampler.seconds > 1e-3:
            enough.set()

    monkeypatch.setattr(sampler, "_sample", count)
    with sampler:
        assert enough.wait(60)
    assert {len(values) for values in sampler.samples.values()} <= set(range(1, 11))
    assert sampler.samples["time"] == sorted(sampler.samples["time"])


def test_a_run_that_goes_on_keeps_what_was_sampled_before(tmp_path: Path) -> None:
    for _ in range(2):
        with sampled([tmp_path], resumed=True):
            pass
    assert len(read_samples(tmp_path)["time"]) == 2
    with sampled([tmp_path], resumed=False):
        pass
    assert len(read_samples(tmp_path)["time"]) == 1


def test_what_ended_a_run_is_told_and_its_samples_are_kept(tmp_path: Path) -> None:
    with pytest.raises(KeyboardInterrupt), sampled([tmp_path], resumed=False):
        raise KeyboardInterrupt
    assert read_samples(tmp_path)["time"]
    with pytest.raises(KeyboardInterrupt), sampled([Path("/proc/nowhere")], resumed=False):
        raise KeyboardInterrupt


def test_a_damaged_file_is_said(tmp_path: Path) -> None:
    (tmp_path / SYSTEM_FILE).write_text("{")
    with pytest.raises(DataError, match=r"system\.json: not valid JSON; delete the file"):
        read_samples(tmp_path)


def test_a_machine_without_memory_to_sample_it_ends_no_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def none_left() -> None:
        raise MemoryError

    monkeypatch.setattr("gbench.sampling.psutil.virtual_memory", none_left)
    with sampled([tmp_path], resumed=False):
        pass
    assert read_samples(tmp_path) == {}
