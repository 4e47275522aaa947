"""The scaffold's case of two masses, with a bridge that does one thing wrong at one moment."""

from __future__ import annotations

from pathlib import Path

from scalespan.bridges.run.coupled.slot import peek
from scalespan.bridges.run.scaffold import new_case

# Beside the case, after the code of its mass.py.
FAULTY = '''
import os, resource, signal, sys, time
from pathlib import Path


class FaultyOptions(MassOptions):
    fault: str  # what happens
    call: str = "advance"  # in which call
    window: int = 0  # after how many windows
    unit: str = "angstrom"
    time: str = "fs"


class FaultyBridge(MassBridge):
    """A mass with a fault."""

    name = "faulty"
    Options = FaultyOptions

    def __init__(self, options):
        super().__init__(options)
        self.options, self.windows, self.time_unit = options, 0, options.time
        self._write = Field(self._write.name, self._write.mesh, options.unit, 1)
        self.fail("constructor")

    def fail(self, call):
        if call != self.options.call or self.windows < self.options.window:
            return
        fell = Path(__file__).with_name("fell")
        if not fell.exists():
            fell.write_text(repr(time.time()))
        if self.options.fault == "raise":
            raise ValueError("seven is not even")
        if self.options.fault == "kill":
            os.kill(os.getpid(), signal.SIGKILL)
        if self.options.fault == "hang":
            time.sleep(1000.0)
        if self.options.fault == "exit":
            sys.exit(0)
        if self.options.fault == "vanish":
            os._exit(0)
        if self.options.fault == "disk":
            resource.setrlimit(resource.RLIMIT_FSIZE, (4096, 4096))
        if self.options.fault == "nan":
            self.x = float("nan")
        if self.options.fault == "slow":
            time.sleep(0.05)

    @property
    def exchange(self):
        self.fail("exchange")
        return super().exchange

    @property
    def longest_step(self):
        self.fail("longest_step")
        return super().longest_step

    def audit(self):
        self.fail("audit")
        return super().audit()

    def frame(self, folder, time):
        self.fail("frame")

    def receive(self, read):
        self.fail("receive")
        super().receive(read)

    def advance(self, dt):
        self.fail("advance")
        super().advance(dt)

    def write(self, field):
        self.fail("write")
        return super().write(field)

    def save(self):
        self.fail("save")
        ballast = {"ballast": np.zeros(1000)} if self.options.fault == "disk" else {}
        return {**super().save(), **ballast}

    def restore(self, state):
        self.fail("restore")
        super().restore(state)

    def accept(self, time):
        self.windows += 1
        self.fail("accept")

    def observe(self):
        self.fail("observe")
        return super().observe()
'''


def faulty(folder: Path, name: str = "Left", *, patience: str = "", **options: object) -> Path:
    """Return a new case whose participant ``name`` has a fault; with ``options`` empty, none has."""
    case = folder / "masses"
    folder.mkdir(exist_ok=True)
    new_case(case, "coupled")
    (case / "faulty.py").write_text((case / "mass.py").read_text() + FAULTY, encoding="utf-8")
    text = (case / "case.toml").read_text(encoding="utf-8")
    if patience:
        text = text.replace("[coupling]", f'[coupling]\npatience = "{patience}"')
    if options:
        given = "".join(f"{key} = {value!r}\n" for key, value in options.items())
        head, tail = text.split(f"[participants.{name}]\n")
        text = f"{head}[participants.{name}]\n{given}{tail.replace('mass', 'faulty', 1)}"
    if options.get("call") == "frame":
        text = text.replace("every = 0 ", "every = 1 ")
    (case / "case.toml").write_text(text, encoding="utf-8")
    return case


def fell(case: Path) -> float | None:
    """Return when the first fault of a run happened (s since the epoch); None where no participant came to run."""
    path = case / "fell"
    found = [float(path.read_text(encoding="utf-8"))] if path.exists() else []
    for path in (case / "results").glob("*/end.json"):
        end = peek(path)
        found += [end["at"]] if "error" in end else []
    return min(found, default=None)


def alive(case: Path) -> list[int]:
    """Return the processes whose command line or working directory names the case."""
    found = []
    for path in Path("/proc").glob("[0-9]*"):
        try:
            words = (path / "cmdline").read_bytes().decode(errors="replace")
            zombie = (path / "stat").read_text().rpartition(")")[2].split()[0] == "Z"
            inside = str((path / "cwd").readlink()).startswith(str(case))
        except OSError:
            continue
        if not zombie and (str(case) in words or inside):
            found.append(int(path.name))
    return found
