"""A search: trials in an Optuna study on disk, which outlives the process and which several processes may share."""

import hashlib
import json
import warnings
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, NamedTuple

import filelock

from gbench.cards import Frozen, Settings, validate
from gbench.choices import Choices, resolve
from gbench.errors import SpecError
from gbench.registry import model_card
from gbench.spec import RunSpec
from gbench.storage import atomic_path
from gbench.tuning.space import Space, as_yaml, parse, settings_of

if TYPE_CHECKING:
    import optuna

Sampler = Literal["tpe", "random"]
Pruner = Literal["median", "hyperband", "none"]
STUDY_FILE = "study.json"
STORAGE_FILE = "study.db"
LOCK_FILE = ".lock"
BUSY_SECONDS = 60
"""How long a process waits for another one's write to the study."""
RANDOM_TRIALS = 5
"""Whole trials before the median of them ends others."""
WARM_UP = 1 / 3
"""Share of the epochs of a fold before which no trial is ended: under a schedule that warms up, curves cross."""
MOST_STARTS = 3
"""How often a trial is taken up whose process was killed: it may be the trial that kills it, by its memory."""


class Tuning(Frozen):
    """All that decides a search; how many trials there are and how long it may take does not."""

    choices: Choices
    """What is not searched."""
    folds: tuple[int, ...]
    space: dict[str, str | list[Any]]
    """Dotted key -> what it may be, as :func:`gbench.tuning.space.parse` reads it."""
    sampler: Sampler = "tpe"
    pruner: Pruner = "median"
    base: tuple[RunSpec, ...]
    """The runs of the folds without what is searched: a card that changed makes another search."""

    @classmethod
    def of(cls, choices: Choices, folds: tuple[int, ...], space: Space, sampler: Sampler, pruner: Pruner) -> "Tuning":
        """The search of a space."""
        base = tuple(resolve(choices.model_copy(update={"fold": fold})) for fold in folds)
        return cls(
            choices=choices, folds=folds, space={key: str(what) for key, what in space.items()}, sampler=sampler,
            pruner=pruner, base=base,
        )  # fmt: skip

    @property
    def parameters(self) -> Space:
        """The space, read."""
        return {key: parse(key, written) for key, written in self.space.items()}

    @property
    def name(self) -> str:
        """Model, dataset, and a hash of everything: the same command goes on with the same search."""
        spec = self.base[0]
        written = self.model_dump(mode="json", exclude={"base"}) | {"runs": [one.canonical() for one in self.base]}
        digest = hashlib.sha256(json.dumps(written, sort_keys=True).encode()).hexdigest()
        return f"{spec.model}-{spec.dataset}-{digest[:8]}"

    def settings(self, chosen: dict[str, Any]) -> Settings:
        """Dotted key -> value of what Optuna chose."""
        return {key: what.setting(chosen[key]) for key, what in self.parameters.items()}

    def spec(self, fold: int, settings: Settings) -> RunSpec:
        """The run of a fold with these settings.

        Raises:
            GbenchError: the settings do not fit together.
        """
        overrides = {**self.choices.overrides, **settings}
        return resolve(self.choices.model_copy(update={"fold": fold, "overrides": overrides}))

    def card_settings(self) -> dict[str, Any] | None:
        """What Optuna would choose for the card's own settings; None where one of them is outside the space."""
        settings = settings_of(self.base[0])
        chosen = {key: what.choice(settings.get(key)) for key, what in self.parameters.items()}
        return None if None in chosen.values() else chosen


class Claimed(NamedTuple):
    """A trial that this process works on."""

    trial: "optuna.Trial"
    lock: filelock.BaseFileLock
    """Held while it does. The system lets go of it when the process ends, however it ends."""


class Study:
    """Trials in SQLite under ``folder``. A search goes on where it was, in any number of processes at once."""

    def __init__(self, tuning: Tuning, folder: Path) -> None:
        """Make it, or open the one that is there.

        Raises:
            SpecError: the folder holds another search.
        """
        self.tuning, self.folder = tuning, folder
        with self._lock():
            self._check_or_write()
            if not self.stored.get_trials(deepcopy=False) and (chosen := tuning.card_settings()) is not None:
                # what every other trial is to beat
                self.stored.enqueue_trial(chosen)

    def _lock(self) -> filelock.BaseFileLock:
        self.folder.mkdir(parents=True, exist_ok=True)
        return filelock.FileLock(self.folder / LOCK_FILE)

    def _check_or_write(self) -> None:
        path = self.folder / STUDY_FILE
        if not path.is_file():
            with atomic_path(path) as temporary:
                temporary.write_text(self.tuning.model_dump_json(indent=2) + "\n", encoding="utf-8")
            return
        try:
            raw = json.loads(path.read_text(encoding="utf-8"))
        except ValueError as error:
            raise SpecError(
                f"{path}: not valid JSON ({error}); delete {self.folder}, or choose another --name"
            ) from error
        if validate(Tuning, raw, str(path), SpecError).name != self.tuning.name:
            raise SpecError(
                f"{self.folder} holds a search with other settings, folds or space; choose another --name, or delete "
                "the folder"
            )

    @cached_property
    def stored(self) -> "optuna.Study":
        """Optuna's own study."""
        import optuna

        # what becomes of trials is printed by the command
        optuna.logging.set_verbosity(optuna.logging.ERROR)
        connect = {"connect_args": {"timeout": BUSY_SECONDS}}
        storage = optuna.storages.RDBStorage(f"sqlite:///{(self.folder / STORAGE_FILE).resolve()}", connect)
        return optuna.create_study(
            storage=storage, study_name=self.folder.name, pruner=self._pruner(), load_if_exists=True
        )

    def _pruner(self) -> "optuna.pruners.BasePruner":
        from optuna import pruners

        training = self.tuning.base[0].training
        epochs = training.epochs if training else 1
        warm_up = max(1, round(WARM_UP * epochs))
        if self.tuning.pruner == "median":
            return pruners.MedianPruner(n_startup_trials=RANDOM_TRIALS, n_warmup_steps=warm_up)
        if self.tuning.pruner == "hyperband":
            return pruners.HyperbandPruner(min_resource=warm_up, max_resource=epochs * len(self.tuning.folds))
        return pruners.NopPruner()

    def _sampler(self, number: int) -> "optuna.samplers.BaseSampler":
        """For a trial: its draws depend on seed and number, so that no two processes make the same ones."""
        from optuna import samplers

        seed = (self.tuning.choices.seed * 1_000_003 + number) % 2**32
        return samplers.TPESampler(seed=seed) if self.tuning.sampler == "tpe" else samplers.RandomSampler(seed)

    @property
    def trials(self) -> "list[optuna.trial.FrozenTrial]":
        """All that were begun."""
        from optuna.trial import TrialState

        return [one for one in self.stored.get_trials(deepcopy=False) if one.state != TrialState.WAITING]

    @property
    def complete(self) -> "list[optuna.trial.FrozenTrial]":
        """Those that went to the end, the best first."""
        from optuna.trial import TrialState

        done = [one for one in self.trials if one.state == TrialState.COMPLETE]
        return sorted(done, key=lambda one: (one.value, one.number))

    def claim(self, most: int) -> Claimed | None:
        """A trial to work on: one whose process is gone, else a new one unless ``most`` were begun."""
        import optuna
        from optuna.trial import TrialState

        with self._lock():
            begun = self.trials
            for one in begun:
                if one.state == TrialState.RUNNING and (lock := self._claim_lock(one.number)) is not None:
                    # its process may have ended it between the two
                    if self.stored.get_trials(deepcopy=False)[one.number].state == TrialState.RUNNING:
                        self.stored.sampler = self._sampler(one.number)
                        return self._claimed(optuna.Trial(self.stored, one._trial_id), lock)
                    lock.release()
            if len(begun) >= most:
                return None
            self.stored.sampler = self._sampler(len(begun))
            trial = self.stored.ask()
            lock = self._claim_lock(trial.number)
            if lock is None:
                raise SpecError(f"{self.folder}: its locks do not work there; choose a local folder with --results")
            return self._claimed(trial, lock)

    def _claim_lock(self, number: int) -> filelock.BaseFileLock | None:
        lock = filelock.FileLock(self.folder / f"trial-{number}.lock", timeout=0)
        try:
            lock.acquire()
        except filelock.Timeout:
            return None
        return lock

    def _claimed(self, trial: "optuna.Trial", lock: filelock.BaseFileLock) -> Claimed:
        # what was drawn before stays
        for key, what in self.tuning.parameters.items():
            what.suggest(trial, key)
        trial.set_user_attr("starts", trial.user_attrs.get("starts", 0) + 1)
        return Claimed(trial, lock)

    def importance(self) -> dict[str, float]:
        """Share of each setting in how values differ (fANOVA), the largest first; empty where that cannot be said."""
        from optuna.importance import FanovaImportanceEvaluator, get_param_importances

        several = [key for key in self.tuning.space if len({str(one.params[key]) for one in self.complete}) > 1]
        if len(self.complete) < 2 * RANDOM_TRIALS or len(several) < 2 or len({one.value for one in self.complete}) < 2:
            return {}
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            return get_param_importances(self.stored, evaluator=FanovaImportanceEvaluator(seed=0), params=several)


def card_lines(tuning: Tuning, settings: Settings) -> str:
    """The line under ``tuned:`` of the model's card that makes these settings the recommended ones for the dataset."""
    choices = tuning.choices
    spec = resolve(choices.model_copy(update={"overrides": {}}))
    tuned, known = model_card(spec.reference).tuned.get(spec.dataset), settings_of(spec)
    sections: dict[str, Settings] = {} if tuned is None else tuned.model_dump(exclude_defaults=True)
    for key, value in {**choices.overrides, **settings}.items():
        section, _, name = key.partition(".")
        if section != "split" and value != known[key]:
            sections.setdefault("config" if section == "model" else section, {})[name] = value
    ordered = {name: sections[name] for name in ("config", "graph", "training") if sections.get(name)}
    return f"  {spec.dataset}: {as_yaml(ordered)}"
