"""Sweeps on a Ray cluster of several nodes, each a set of processes of its own."""

import sys
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from threading import Thread
from typing import Any

import psutil
import pytest
from sweeping import DIES, WAITS, began, endless_model, odd_model, results_in, sweep, wait_until, write_suite

from gbench.errors import SweepError
from gbench.result import read_predictions
from gbench.runner import CHECKPOINT_FILE
from gbench.sweep.away import Home
from gbench.sweep.on_ray import OnRay
from gbench.sweep.sweep import Stop

ray = pytest.importorskip("ray", reason="Ray is not installed (pip install -e '.[ray]')")
pytestmark = [
    pytest.mark.xdist_group("ray"),
    # Ray leaves sockets and processes of the nodes to the garbage collector
    pytest.mark.filterwarnings("ignore::ResourceWarning", "ignore::pytest.PytestUnraisableExceptionWarning"),
    pytest.mark.filterwarnings("ignore::FutureWarning:ray", "ignore::DeprecationWarning:ray"),
]


@pytest.fixture(scope="module")
def cluster() -> Iterator[Any]:
    """A head that trains nothing, and one node that does."""
    from ray.cluster_utils import Cluster

    made: Any = Cluster(initialize_head=True, head_node_args={"num_cpus": 0, "include_dashboard": False})
    made.add_node(num_cpus=1)
    yield made
    made.shutdown()


def test_a_node_that_is_killed_costs_no_result(cluster: Any, tmp_path: Path) -> None:
    """Two trainings wait on two nodes; one node is killed, and the other does the work of both."""
    lost = cluster.add_node(num_cpus=1)
    model = odd_model(tmp_path, "waits", f"import uuid; (here / f'fit-{{uuid.uuid4()}}').touch(); {WAITS}")
    suite = write_suite(tmp_path, blocks=[{"vary": {"model": [model], "seed": [0, 1]}}, {"vary": {"model": ["dummy"]}}])

    def kill_one() -> None:
        wait_until(lambda: len(began(tmp_path)) == 2)
        # a worker may outlive the process that manages its node by a second, and even end its training
        raylet = psutil.Process(lost.all_processes["raylet"][0].process.pid)
        workers = raylet.children(recursive=True)
        cluster.remove_node(lost, allow_graceful=False)
        for worker in workers:
            with suppress(psutil.NoSuchProcess):
                worker.kill()
        psutil.wait_procs(workers, timeout=30)
        (tmp_path / "spare").touch()

    thread = Thread(target=kill_one)
    thread.start()
    outcomes = sweep(OnRay(cluster.address, tmp_path / "r"), tmp_path / "r", suite)
    thread.join()
    assert [outcome.kind for outcome in outcomes] == ["done"] * 3
    # what was lost was begun anew
    assert len(list(tmp_path.glob("fit-*"))) == 3
    assert {result.status for result in results_in(tmp_path / "r").values()} == {"ok"}
    assert not list((tmp_path / "r").glob(".home-*"))


def test_results_are_brought_home_from_nodes_that_do_not_see_the_folder(cluster: Any, tmp_path: Path) -> None:
    base = {"model": "cgcnn", "target": "e_form,gap", "training.epochs": 1, "model.hidden": 8}
    suite, results = write_suite(tmp_path, base=base), tmp_path / "r"

    class Far(OnRay):
        def __enter__(self) -> "Far":
            super().__enter__()
            # without the mark, a node takes the folder for one of its own
            self.home.__exit__(None, None, None)
            return self

    (outcome,) = sweep(Far(cluster.address, results), results, suite)
    assert outcome.kind == "done", outcome.message
    folders = [path.parent for path in results.glob("*/result.json")]
    assert len(folders) == 2
    for folder in folders:
        assert {"predictions.parquet", "weights.safetensors", "history.json"} < {path.name for path in folder.iterdir()}
        assert len(read_predictions(folder))


def test_a_stopped_sweep_leaves_checkpoints(cluster: Any, tmp_path: Path) -> None:
    base = {"model": endless_model(tmp_path), "model.hidden": 8, "training.epochs": 100_000}
    suite, stop = write_suite(tmp_path, base=base, vary={"seed": [0, 1]}), Stop()

    def ask() -> None:
        wait_until(lambda: began(tmp_path))
        stop.asked = True

    thread = Thread(target=ask)
    thread.start()
    outcomes = sweep(OnRay(cluster.address, tmp_path / "r"), tmp_path / "r", suite, stop=stop)
    thread.join()
    assert outcomes == []
    assert len(list((tmp_path / "r").glob(f"*/{CHECKPOINT_FILE}"))) == 1


def test_a_training_that_kills_its_process_is_lost_alone(cluster: Any, tmp_path: Path) -> None:
    suite = write_suite(tmp_path, vary={"model": [odd_model(tmp_path, "dies", DIES), "dummy"]})
    outcomes = sweep(OnRay(cluster.address, tmp_path / "r", retries=0), tmp_path / "r", suite)
    assert {outcome.kind for outcome in outcomes} == {"lost", "done"}
    found = results_in(tmp_path / "r")
    assert (found["dies"].status, found["dummy"].status) == ("error", "ok")
    assert found["dies"].error is not None
    assert found["dies"].error.message.startswith("WorkerCrashedError")


def test_more_than_any_node_has_is_refused(cluster: Any, tmp_path: Path) -> None:
    with pytest.raises(SweepError, match="no node of the Ray cluster has 64 CPUs and 0 GPUs; lower --threads"):
        sweep(
            OnRay(cluster.address, tmp_path / "r", threads=64),
            tmp_path / "r",
            write_suite(tmp_path, base={"model": "dummy"}),
        )


def test_a_cluster_that_is_not_there_is_named(tmp_path: Path) -> None:
    suite = write_suite(tmp_path, base={"model": "dummy"})
    with pytest.raises(SweepError, match="no Ray cluster at '127.0.0.1:1' .*Connection refused.*`ray start --head`"):
        sweep(OnRay("127.0.0.1:1", tmp_path / "r"), tmp_path / "r", suite)


def test_without_ray_the_extra_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "ray", None)
    with pytest.raises(SweepError, match=r"pip install 'gbench\[ray\]'"):
        sweep(OnRay("auto", tmp_path / "r"), tmp_path / "r", write_suite(tmp_path, base={"model": "dummy"}))


def test_files_come_home_result_last(tmp_path: Path) -> None:
    with Home(tmp_path) as home:
        assert (tmp_path / home.mark).is_file()
        home.receive({"abc/result.json": b"{}", "abc/predictions.parquet": b"x"})
    assert not (tmp_path / home.mark).exists()
    result, predictions = (tmp_path / "abc" / name for name in ("result.json", "predictions.parquet"))
    assert result.stat().st_mtime_ns >= predictions.stat().st_mtime_ns
    assert {path.name for path in (tmp_path / "abc").iterdir()} == {"result.json", "predictions.parquet"}
