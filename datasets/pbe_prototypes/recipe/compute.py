"""PBE single points with GPAW, resumable: rows are appended to a file as they come."""

import os
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, wait
from itertools import islice
from multiprocessing import get_context
from pathlib import Path
from typing import Any, NamedTuple

from gbench.elements import symbols

from .calculations import ANIONS, CUTOFF_EV, Calculation
from .structures import FloatArray, Structure

SMEARING_EV = 0.1
MOLECULE_SMEARING_EV = 0.01
MAX_ITERATIONS = 120


class Settings(NamedTuple):
    """What the numerical error of an energy depends on."""

    cutoff_ev: float
    density: float
    """k-points per 1/Å of compounds with an anion."""
    metal_density: float
    reference_density: float


STANDARD = Settings(cutoff_ev=CUTOFF_EV, density=2.4, metal_density=4.0, reference_density=4.0)
TIGHT = Settings(cutoff_ev=500.0, density=4.0, metal_density=4.0, reference_density=5.0)
"""The label noise on the card is the change from standard to tight."""


class Budget(NamedTuple):
    """How much to compute."""

    seconds: float
    """After which no calculation is begun."""
    workers: int
    """Processes, one core each."""


def compute(
    structures: Iterable[Structure],
    out: Path,
    budget: Budget,
    calculate: Callable[[Structure], Calculation],
) -> Iterator[Calculation]:
    """Calculations as they finish, each appended to ``out`` first.

    ``calculate`` runs in other processes and so must be picklable.
    """
    deadline = time.monotonic() + budget.seconds
    queue = iter(structures)
    # a fresh interpreter reads the thread count before its BLAS starts; a forked one would come too late
    os.environ.setdefault("OMP_NUM_THREADS", "1")
    spawn = get_context("spawn")
    with ProcessPoolExecutor(budget.workers, mp_context=spawn) as pool, out.open("a", encoding="utf-8") as file:
        running: set[Future[Calculation]] = set()
        while True:
            if time.monotonic() < deadline:
                free = budget.workers - len(running)
                running |= {pool.submit(calculate, structure) for structure in islice(queue, free)}
            if not running:
                return
            done, running = wait(running, return_when=FIRST_COMPLETED)
            for future in done:
                row = future.result()
                file.write(row.model_dump_json(exclude_none=True) + "\n")
                file.flush()
                yield row


def single_point(structure: Structure, settings: Settings = STANDARD) -> Calculation:
    """Energy, gap and Hirshfeld charges of one structure, or the error that kept them."""
    begin = time.perf_counter()
    found: dict[str, Any] = {}
    if structure.kind != "molecule":
        found["kgrid"] = k_grid(structure, settings)
    # whatever goes wrong in one calculation belongs into its row and must not stop the others
    try:
        found |= _gpaw(structure, settings, found.get("kgrid"))
    except Exception as error:
        found["error"] = f"{type(error).__name__}: {str(error)[:200]}"
    return Calculation(
        key=structure.key,
        kind=structure.kind,
        prototype=structure.prototype,
        volume_scale=structure.volume_scale if structure.kind == "crystal" else None,
        numbers=structure.numbers,
        cell=_vectors(structure.cell),
        frac=_vectors(structure.frac),
        ecut=settings.cutoff_ev,
        seconds=time.perf_counter() - begin,
        **found,
    )


def k_grid(structure: Structure, settings: Settings = STANDARD) -> tuple[int, int, int]:
    """Divisions of the Gamma-centred grid; the same for every volume of a compound, so that errors cancel."""
    from ase import Atoms
    from ase.calculators.calculator import kptdensity2monkhorstpack

    middle = Atoms(structure.numbers, cell=structure.cell / structure.volume_scale ** (1 / 3), pbc=True)
    first, second, third = kptdensity2monkhorstpack(middle, _k_density(structure, settings), even=False)
    return int(first), int(second), int(third)


def _k_density(structure: Structure, settings: Settings) -> float:
    if structure.kind == "reference":
        return settings.reference_density
    names = {symbols()[number - 1] for number in structure.numbers}
    return settings.density if names & ANIONS else settings.metal_density


def _gpaw(structure: Structure, settings: Settings, kgrid: Sequence[int] | None) -> dict[str, Any]:
    from ase import Atoms
    from gpaw import GPAW, PW, FermiDirac  # pyright: ignore[reportMissingImports]
    from gpaw.analyse.hirshfeld import HirshfeldPartitioning  # pyright: ignore[reportMissingImports]

    spin = structure.moments is not None
    molecule = structure.kind == "molecule"
    width = MOLECULE_SMEARING_EV if molecule else SMEARING_EV
    calculator = GPAW(
        mode=PW(settings.cutoff_ev),
        xc="PBE",
        kpts={"size": (1, 1, 1) if kgrid is None else tuple(kgrid), "gamma": True},
        occupations=FermiDirac(width, fixmagmom=spin),
        spinpol=spin,
        maxiter=MAX_ITERATIONS,
        txt=None,
    )
    atoms = Atoms(
        structure.numbers,
        cell=structure.cell,
        scaled_positions=structure.frac,
        pbc=True,
        magmoms=structure.moments,
        calculator=calculator,
    )
    found: dict[str, Any] = {"energy": float(atoms.get_potential_energy())}
    homo, lumo = calculator.get_homo_lumo()
    found["gap"] = max(float(lumo - homo), 0.0)
    found["iterations"] = int(calculator.get_number_of_iterations())
    found["nk"] = len(calculator.get_ibz_k_points())
    if structure.kind == "crystal":
        found["hirshfeld"] = tuple(map(float, HirshfeldPartitioning(calculator).get_charges()))
    return found


def _vectors(array: FloatArray) -> Any:
    return tuple(tuple(row) for row in array.tolist())
