"""What a run took stands in its Result: seconds, processor time, throughput, operations."""

import json
import time
from itertools import count
from pathlib import Path

import pytest
import torch
from laws import NETWORKS
from small import small_task
from torch import Tensor, nn

import gbench
from gbench.batch import Batch
from gbench.cards import Frozen
from gbench.content import content
from gbench.cost import Stopwatch, training_flops
from gbench.members import together
from gbench.model import Head, Model
from gbench.result import Cost, read_result
from gbench.spec import Training
from gbench.train import Interrupted, fit


class Linear(Model):
    """Ten numbers per crystal, through two layers without an activation."""

    def __init__(self, config: Frozen, head: Head) -> None:
        super().__init__(config, head)
        self.first, self.second = nn.Linear(10, 20), nn.Linear(20, 1)

    def forward(self, batch: Batch) -> Tensor:
        out: Tensor = self.second(self.first(torch.ones(batch.n_graphs, 10)))
        return out

    def embeddings(self, batch: Batch) -> list[Tensor]:
        return []

    @property
    def hops(self) -> int:
        return 0


class TestOperations:
    def test_they_are_those_of_the_matrix_products(self) -> None:
        task, _ = small_task("cgcnn")
        model = Linear(Frozen(), Head())
        forward = 2 * (10 * 20 + 20 * 1)
        # the inputs need no gradient: of the first layer's two products backward there is one
        backward = 2 * (10 * 20 + 2 * 20 * 1)
        assert training_flops(model, task, 64, 1) == 80 * (forward + backward) + 10 * forward
        assert training_flops(model, task, 3, 7) == 7 * training_flops(model, task, 64, 1)

    def test_those_of_two_members_are_twice_as_many(self) -> None:
        task, build = small_task("cgcnn")
        alone, both = (training_flops(together(build, members), task, 64, 1) for members in (1, 2))
        assert both == 2 * alone

    @pytest.mark.parametrize("name", NETWORKS)
    def test_counting_them_leaves_a_network_as_it_was(self, name: str) -> None:
        task, build = small_task(name)
        model = build()
        before = {key: value.clone() for key, value in model.state_dict().items()}
        random_state = torch.get_rng_state()
        assert training_flops(model, task, 8, 1) > 0
        assert torch.equal(torch.get_rng_state(), random_state)
        assert all(torch.equal(before[key], value) for key, value in model.state_dict().items())
        assert all(parameter.grad is None for parameter in model.parameters())


class Stop:
    def __init__(self, steps: int) -> None:
        self.steps = steps

    def __call__(self) -> bool:
        self.steps -= 1
        return self.steps == 0


@pytest.mark.parametrize("stops", [(), (1,), (3, 10, 2)])
def test_processor_time_counts_over_all_sessions(
    stops: tuple[int, ...], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A clock that goes on by one with every look at it counts a second per step."""
    (task, build), ticks = small_task("cgcnn"), count()
    monkeypatch.setattr(time, "process_time", lambda: float(next(ticks)))
    settings = Training(epochs=3, batch_size=8)
    for steps in stops:
        with pytest.raises(Interrupted):
            fit(build, task, settings, 0, tmp_path / "c", lambda _: None, Stop(steps))
    assert fit(build, task, settings, 0, tmp_path / "c", lambda _: None).cpu_seconds == 3 * 10


def test_a_stopwatch_tells_work_from_waiting() -> None:
    with Stopwatch() as working:
        while time.process_time() - working._cpu_began < 0.05:
            pass
    assert working.cpu_seconds >= 0.05
    with Stopwatch() as waiting:
        time.sleep(0.2)
    assert waiting.seconds >= 0.2
    assert waiting.cpu_seconds < waiting.seconds


class TestResult:
    def test_a_network_has_all_of_it(self, tmp_path: Path) -> None:
        made = gbench.run(
            "cgcnn", split="formula", results=tmp_path, overrides={"training.epochs": 2, "model.hidden": 8}
        )
        cost, split = made.cost, made.split
        assert cost is not None and split is not None
        assert None not in cost.model_dump().values()
        assert cost.train_cpu_seconds is not None and cost.train_crystals_per_second is not None
        assert cost.train_flops is not None and cost.predict_crystals_per_second is not None
        assert cost.train_crystals_per_second * cost.train_seconds == pytest.approx(2 * split.train)
        assert 0 < cost.train_seconds < cost.total_seconds
        assert cost.train_cpu_seconds > 0
        assert cost.predict_crystals_per_second > (split.val + split.test) / cost.total_seconds
        assert cost.train_flops > 2 * split.train * 2 * cost.parameters

    @pytest.mark.parametrize("model", ["dummy", "knn", "trees"])
    def test_a_model_that_fits_itself_has_all_but_operations(self, model: str, tmp_path: Path) -> None:
        made = gbench.run(model, split="formula", results=tmp_path)
        cost, split = made.cost, made.split
        assert cost is not None and split is not None
        assert {name for name, value in cost.model_dump().items() if value is None} == {"train_flops"}
        assert cost.train_crystals_per_second is not None
        assert cost.train_crystals_per_second * cost.train_seconds == pytest.approx(split.train)
        assert cost.train_seconds < cost.total_seconds

    def test_results_of_before_are_read(self) -> None:
        path = next(iter(sorted(content("leaderboard").glob("results/pbe_prototypes/cgcnn/*/result.json"))))
        written = json.loads(path.read_text())["cost"]
        for name in ("train_cpu_seconds", "train_crystals_per_second", "predict_crystals_per_second", "train_flops"):
            written.pop(name, None)
        assert Cost.model_validate(written).train_cpu_seconds is None
        assert read_result(path.parent).run_id == path.parent.name
