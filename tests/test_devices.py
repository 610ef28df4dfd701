"""On another device a network learns the same, nothing strays, and the host does not wait."""

import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from elsewhere import ELSEWHERE, Elsewhere
from few_steps import small_task, trained
from jointly import CGCNN
from jointly import spec as joint_spec
from laws import NETWORKS, crystals_with_pairs
from torch import Tensor

from gbench.batch import GraphTensors
from gbench.cards import Level
from gbench.checkpoint import read_checkpoint
from gbench.choices import Choices, resolve
from gbench.devices import CPU, check_precision, choose_device, send_all
from gbench.errors import SpecError, TrainingError, UnknownNameError
from gbench.laws.subjects import graphs_of, prototypes
from gbench.losses import READ_STEPS, Losses
from gbench.model import Head
from gbench.observer import Observer
from gbench.prepare import make_task, prepare
from gbench.ranks import HERE, Place
from gbench.registry import model_card
from gbench.spec import RunSpec, Training
from gbench.task import Task
from gbench.train import Fit, Interrupted, fit, predict

THERE = Place(ELSEWHERE)
WAITS = {
    # a packed sequence has its lengths on the host, and which sites have one before them is a question to the device
    "gru": {"_local_scalar_dense", "_to_copy", "index"},
    # cells of molecules are completed on the host
    "cnn": {"nonzero", "_to_copy"},
}
"""Networks for which the host waits in every step, and what for."""


def predicted(model: str, task: Task, folder: Path, place: Place = HERE, **settings: Any) -> Tensor:
    return torch.as_tensor(predict(trained(model, task, folder, place, **settings), task, task.split.test, 4))


@pytest.fixture
def there(monkeypatch: pytest.MonkeyPatch) -> Elsewhere:
    """The other device, once entered."""
    # torch.optim hides its modules
    monkeypatch.setattr(
        sys.modules["torch.optim.optimizer"], "_get_fused_kernels_supported_devices", lambda: ["cpu", "meta"]
    )
    return Elsewhere()


@pytest.mark.parametrize("level", ["graph", "node", "edge"])
@pytest.mark.parametrize("model", NETWORKS)
def test_every_network_learns_the_same_there(model: str, level: Level, there: Elsewhere, tmp_path: Path) -> None:
    if level not in model_card(model).levels:
        pytest.skip(f"{model} has no {level} head")
    task = small_task(model, level)
    here = predicted(model, task, tmp_path)
    with there:
        elsewhere = predicted(model, task, tmp_path, THERE)
    assert not torch.equal(here, torch.zeros_like(here))
    torch.testing.assert_close(elsewhere, here, atol=1e-6, rtol=1e-6)
    if model in WAITS:
        assert set(there.waits) == WAITS[model]
    else:
        # losses and errors of each epoch, and the predictions; nothing in a step
        assert there.waits == {"_to_copy": 5}


def test_members_learn_the_same_there(there: Elsewhere, tmp_path: Path) -> None:
    task = small_task("cgcnn", "node")
    here = predicted("cgcnn", task, tmp_path, members=2)
    with there:
        elsewhere = predicted("cgcnn", task, tmp_path, THERE, members=2)
    torch.testing.assert_close(elsewhere, here, atol=1e-6, rtol=1e-6)
    assert not torch.equal(here, predicted("cgcnn", task, tmp_path / "one"))


def test_the_host_cuts_batches_where_the_device_is_too_small(
    there: Elsewhere, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    task = small_task("cgcnn", "graph")
    here = predicted("cgcnn", task, tmp_path)
    with there:
        assert task.on(ELSEWHERE).tensors.device == ELSEWHERE
        monkeypatch.setattr("gbench.task.free_bytes", lambda _: 2 * task.tensors.n_bytes)
        small = task.on(ELSEWHERE)
        assert small.tensors.device == CPU
        assert small.batch(torch.tensor([0, 1])).cell.device == ELSEWHERE
        elsewhere = predicted("cgcnn", task, tmp_path, THERE)
    torch.testing.assert_close(elsewhere, here, atol=1e-6, rtol=1e-6)


def test_all_of_a_batch_is_sent(there: Elsewhere) -> None:
    tensors = GraphTensors(graphs_of("alignn", crystals_with_pairs(prototypes())), merge="angles")
    rows = torch.tensor([3, 1, 1])
    here = tensors.batch(rows)
    with there:
        for batch in (tensors.to(ELSEWHERE).batch(rows), send_all(here, ELSEWHERE)):
            for name, value in vars(here).items():
                sent = getattr(batch, name)
                for ours, theirs in zip(*(parts(one) for one in (value, sent)), strict=True):
                    assert theirs.device == ELSEWHERE, name
                    assert torch.equal(theirs.cpu(), ours), name
    assert tensors.device == CPU


def parts(value: object) -> list[Tensor]:
    """The tensors in a field of a batch."""
    if isinstance(value, Tensor):
        return [value]
    inside = value if isinstance(value, tuple) else vars(value).values() if hasattr(value, "cosine") else ()
    return [part for part in inside if isinstance(part, Tensor)]


def test_tensors_of_two_devices_do_not_mix(there: Elsewhere) -> None:
    with there, pytest.raises(RuntimeError, match="1 tensors elsewhere and 1 of the processor"):
        torch.zeros(3, device=ELSEWHERE) + torch.zeros(3)


def test_waits_are_counted(there: Elsewhere) -> None:
    with there:
        values = torch.arange(3.0, device=ELSEWHERE)
        float(values.sum())
        _ = values[values > 1]
        values.repeat_interleave(torch.ones(3, dtype=torch.int64, device=ELSEWHERE))
        values.cpu()
    assert set(there.waits) == {"_local_scalar_dense", "index", "repeat_interleave", "_to_copy"}


@pytest.mark.filterwarnings("ignore:.*copying from a non-meta parameter")  # this one works
@pytest.mark.parametrize("place", ["here first", "there first"])
def test_a_training_goes_on_on_another_device(place: str, there: Elsewhere, tmp_path: Path) -> None:
    one = resolve(Choices(model="cgcnn", split="random", overrides={"training.epochs": 3, "model.hidden": 8}))
    ready = prepare(one, Observer(), allow_leak=True)
    task = make_task(ready, CGCNN)

    def train(place: Place, steps: int = 10**9) -> Fit:
        countdown = iter(range(steps, -1, -1))
        settings = Training(epochs=2, batch_size=100, ema=0.9)
        return fit(
            lambda: CGCNN(CGCNN.Config.model_validate(one.config), Head()), task, settings, 0, tmp_path / "c",
            lambda _: None, lambda: next(countdown) == 1, place,
        )  # fmt: skip

    whole = train(HERE)
    first, then = (HERE, THERE) if place == "here first" else (THERE, HERE)
    with there:
        with pytest.raises(Interrupted):
            train(first, steps=8)
        saved = read_checkpoint(tmp_path / "c")
        assert saved is not None and saved.step == 8
        resumed = train(then)
    for name, weights in whole.model.state_dict().items():
        torch.testing.assert_close(resumed.model.state_dict()[name].cpu(), weights, atol=1e-6, rtol=1e-6)
    assert [epoch.val_mae for epoch in resumed.history] == pytest.approx([epoch.val_mae for epoch in whole.history])


class TestPrecision:
    @pytest.mark.parametrize("model", NETWORKS)
    def test_every_network_learns_in_bfloat16(self, model: str, tmp_path: Path) -> None:
        task = small_task(model, model_card(model).levels[0])
        exact, rounded = (
            predicted(model, task, tmp_path / precision, precision=precision) for precision in ("float32", "bfloat16")
        )
        assert not torch.equal(exact, rounded)
        # 8 bits of precision, over some layers
        assert (exact - rounded).abs().max() < 0.1 * exact.abs().max()

    def test_weights_stay_in_float32(self, tmp_path: Path) -> None:
        fitted = trained("cgcnn", small_task("cgcnn", "graph"), tmp_path, precision="bfloat16")
        assert {weights.dtype for weights in fitted.model.parameters()} == {torch.float32}

    def test_the_usual_one_is_no_part_of_the_run(self) -> None:
        usual, half = (
            joint_spec("gap", **({"training.precision": name} if name else {})) for name in ("float32", "bfloat16")
        )
        assert usual.run_id == joint_spec("gap").run_id
        assert "precision" not in usual.canonical()
        assert half.run_id != usual.run_id
        again = RunSpec.model_validate_json(half.model_dump_json())
        assert again.training is not None and again.training.precision == "bfloat16"

    def test_a_gpu_without_it_is_named(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr("torch.cuda.get_device_capability", lambda _: (7, 5))
        monkeypatch.setattr("torch.cuda.get_device_name", lambda _: "Tesla T4")
        gpu = torch.device("cuda", 0)
        check_precision("float32", gpu)
        with pytest.raises(SpecError, match="^Tesla T4 has no bfloat16; leave out training.precision"):
            check_precision("bfloat16", gpu)


class TestChoosing:
    @pytest.fixture
    def two_gpus(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr("torch.cuda.is_available", lambda: True)
        monkeypatch.setattr("torch.cuda.device_count", lambda: 2)

    @pytest.fixture
    def none(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr("torch.cuda.is_available", lambda: False)

    @pytest.mark.usefixtures("two_gpus")
    @pytest.mark.parametrize(
        ("name", "rank", "expected"),
        [("auto", None, "cuda:0"), ("cuda", None, "cuda:0"), ("cuda:1", None, "cuda:1"), ("cpu", None, "cpu"),
         ("auto", 1, "cuda:1"), ("cuda", 1, "cuda:1"), ("cpu", 1, "cpu")],
    )  # fmt: skip
    def test_with_gpus(self, name: str, rank: int | None, expected: str) -> None:
        assert choose_device(name, rank) == torch.device(expected)

    @pytest.mark.usefixtures("none")
    def test_without(self) -> None:
        assert choose_device() == choose_device("cpu") == CPU
        with pytest.raises(SpecError, match="^--device cuda: torch .* has no CUDA device, .*; use --device cpu$"):
            choose_device("cuda")

    @pytest.mark.usefixtures("two_gpus")
    @pytest.mark.parametrize(
        ("name", "rank", "sentence"),
        [("cuda:2", None, "cuda:2 does not exist; torch sees 2"), ("cuda", 2, "cuda:2 does not exist"),
         ("cuda:1", 0, "--device cuda:1: each of several processes takes a GPU of its own; use --device cuda")],
    )  # fmt: skip
    def test_what_is_not_there(self, name: str, rank: int | None, sentence: str) -> None:
        with pytest.raises(SpecError, match=sentence):
            choose_device(name, rank)

    @pytest.mark.parametrize("name", ["gpu", "", "cuda:", "cuda:x", "CUDA", "mps", "cpu:0"])
    def test_a_name_that_means_nothing(self, name: str) -> None:
        with pytest.raises(UnknownNameError, match="no device"):
            choose_device(name)


class TestLosses:
    settings = Training(learning_rate=0.01)

    def test_a_gpu_is_asked_now_and_then(self) -> None:
        losses, gpu = Losses(self.settings, batches=250), torch.device("cuda", 0)
        asked = [step for step in range(1, 501) if losses.due(step, gpu)]
        assert asked == [100, 200, 250, 300, 400, 500]
        assert READ_STEPS == 100
        assert all(losses.due(step, CPU) for step in range(1, 501))

    @pytest.mark.parametrize("wild", [float("nan"), float("inf")])
    def test_the_first_that_is_no_number_is_named(self, wild: float) -> None:
        losses = Losses(self.settings, batches=4)
        for step, value in enumerate([1.0, 2.0, 3.0, 4.0, 5.0, wild, float("nan")]):
            losses.add(step, 10, torch.tensor(value))
        sentence = rf"the loss is {wild} at step 5 \(epoch 2\); lower the rate, .*learning_rate=0.0025"
        with pytest.raises(TrainingError, match=sentence):
            losses.read()

    def test_the_mean_is_over_items(self) -> None:
        losses = Losses(self.settings, batches=4)
        for step, (items, value) in enumerate([(1, 5.0), (3, 1.0)]):
            losses.add(step, items, torch.tensor(value))
        losses.read()
        losses.read()
        assert losses.take_mean() == 2.0
        assert losses.take_mean() == 0.0


def test_no_checkpoint_is_written_of_weights_that_are_no_numbers(there: Elsewhere, tmp_path: Path) -> None:
    task = small_task("cgcnn", "graph")
    task.tensors.distances[:] = torch.nan
    with there, pytest.raises(TrainingError, match="the loss is nan at step 0 "):
        trained("cgcnn", task, tmp_path, THERE)
    assert not list(tmp_path.iterdir())


def run_in_python(device: str) -> Callable[[], object]:
    import gbench

    return lambda: gbench.run("cgcnn", split="random", device=device)


def test_python_takes_a_device_too() -> None:
    with pytest.raises(UnknownNameError, match="no device 'gpu'"):
        run_in_python("gpu")()
