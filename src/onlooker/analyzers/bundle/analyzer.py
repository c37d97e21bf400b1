"""The analyzer of an added bundle; see README.md."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from fractions import Fraction
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from onlooker.analyzers._cuts import CutFinder, split_cut, with_cut
from onlooker.analyzers._gate import GATE_WIDTH
from onlooker.analyzers._sound_stream import BLOCK
from onlooker.analyzers.bundle.adaptive import Looker, check_adaptive, stretch_seconds
from onlooker.analyzers.bundle.cascade import First, first_bundle
from onlooker.analyzers.bundle.certainty import joined
from onlooker.analyzers.bundle.config import HEAVY_FIELDS, BundleConfig, config_for
from onlooker.analyzers.bundle.deciding import Decider, decider_for
from onlooker.analyzers.bundle.drift import DRIFT, DriftWatch
from onlooker.analyzers.bundle.hearing import Ear, SideSound
from onlooker.analyzers.bundle.looks import HOW, STATISTICS, How, Layout, Look, Moment, Pace, flat
from onlooker.analyzers.bundle.seeing import Eye, look_back
from onlooker.analyzers.bundle.tracking import Tracks
from onlooker.bundles import Bundle
from onlooker.bundles.added import added_bundle
from onlooker.bundles.drift import sound_statistics
from onlooker.bundles.inputs import ClipInput, FrameInput, SoundInput
from onlooker.bundles.manifest import Manifest, Network
from onlooker.bundles.outputs import Dense, Detection, Events
from onlooker.bundles.running import Engine, HeadRun, NetworkRun
from onlooker.core.analyzer import Analyzer, Context, Needs, Window
from onlooker.core.errors import ConfigError
from onlooker.core.measurement import Measurement
from onlooker.core.media import AudioBlock, Frame
from onlooker.core.observation import Observation
from onlooker.core.time import Timestamp
from onlooker.models.sentences import MODELS, SentenceEncoder, shared_encoder

__all__ = ["BundleAnalyzer", "analyzer_for"]

Arrays = dict[str, NDArray[Any]]


class BundleAnalyzer(Analyzer[BundleConfig]):
    """Runs a bundle; `analyzer_for` makes the class of each.

    Attributes:
        called: the name under which the bundle was added; ``name`` is that too, or ``NAME@VERSION``.
    """

    version: ClassVar[str] = "1"
    called: ClassVar[str]
    Config = BundleConfig
    measurement_fields: ClassVar[frozenset[str] | None] = HEAVY_FIELDS

    def __init__(self, config: BundleConfig) -> None:
        super().__init__(config)
        self._bundle = added_bundle(self.called, config.version or None)
        manifest = self._bundle.manifest
        self._check(manifest)
        if config.first is not None:
            # the version goes with the settings to worker processes, as the bundle's own does
            pinned, _ = first_bundle(self.name, config.first, self._bundle)
            self.config = config = config.model_copy(update={"first": pinned})
        self._detection = next((o for o in manifest.outputs if isinstance(o, Detection)), None)
        self._exits = any(n.exit is not None for n in manifest.networks)
        self._layout = Layout(manifest, how=config.adaptive or self._exits) if manifest.networks else None
        self._pace = Pace(manifest, config.rate) if manifest.networks else None
        self._looker: Looker | None = None
        self._ear: Ear | None = None
        self._side: SideSound | None = None
        self._head: HeadRun | None = None
        self._encoder: SentenceEncoder | None = None
        self._video: Any = None
        self._counted: Counter[str] = Counter()
        self._restart()

    @property
    def bundle(self) -> Bundle:
        """What it runs."""
        return self._bundle

    def _check(self, manifest: Manifest) -> None:
        config = self.config
        unknown = sorted({*config.labels, *config.thresholds} - set(manifest.labels))
        if unknown:
            raise ConfigError(
                f"{self.name}: it has no label {unknown[0]!r}", hint=f"it has {', '.join(manifest.labels)}"
            )
        if config.rate is not None and not isinstance(manifest.pictures, FrameInput):
            raise ConfigError(
                f"{self.name}: rate: it looks at no single pictures, and its rate is part of its training"
            )
        if config.exit is not None and not any(n.exit is not None for n in manifest.networks):
            raise ConfigError(
                f"{self.name}: exit: its network has no early exit",
                hint="onlooker compress BUNDLE --steps early_exit makes one",
            )
        check_adaptive(self.name, manifest, config)

    def needs(self) -> Needs:
        """Pictures or sound as the bundle's facts say, beside decoding; or whatever has text."""
        manifest = self._bundle.manifest
        network = self._pictured()
        if network is not None:
            facts = network.input
            assert isinstance(facts, FrameInput | ClipInput)
            assert self._pace is not None
            size = (facts.width, facts.height if facts.fit == "stretch" else 0)
            colour = {"rgb": "rgb24", "bgr": "bgr24", "gray": "gray"}[facts.colour]
            back = look_back(network) + stretch_seconds(self.config)
            back = max(back, self._cuts.look_back if self._cuts else Fraction(0))
            image = ((*size, colour),)
            if self.config.remembers:
                image = (*image, (GATE_WIDTH, 0, "gray"))
            return Needs(frames="all", rate=1 / self._pace.tick, image=image, look_back=back, heavy=True)
        if manifest.sounds:
            facts = manifest.sounds[0].input
            assert isinstance(facts, SoundInput)
            return Needs(audio_rate=facts.sample_rate, audio_block=BLOCK, heavy=True)
        assert manifest.head is not None
        assert manifest.head.text is not None
        return Needs(wishes=manifest.head.text.kinds, models=MODELS)

    def _pictured(self) -> Network | None:
        return next((n for n in self._bundle.manifest.networks if isinstance(n.input, FrameInput | ClipInput)), None)

    def bundle_digest(self) -> str | None:
        """The bundle's."""
        return self._bundle.digest

    def open(self, context: Context) -> None:
        """Load the networks that the source has something for, and the head."""
        manifest = self._bundle.manifest
        self._bundle = added_bundle(self.called, self._bundle.digest, check=True)
        engine = Engine(self._bundle, name=self.config.runtime, threads=context.threads)
        self._video = context.source.video
        pictured = self._pictured()
        if pictured is not None and context.source.video is not None:
            self._looker = self._looking(pictured, engine, context.threads)
            if manifest.sounds and context.source.audio and context.read is not None:
                self._side = SideSound(manifest.sounds[0], self._run(engine, manifest.sounds[0]), context.read)
        elif pictured is None and manifest.sounds:
            self._ear = Ear(manifest.sounds[0], self._run(engine, manifest.sounds[0]), context.read)
        if manifest.head is not None and not context.heavy_only:
            self._head = HeadRun(engine, manifest.head)
            if manifest.head.text is not None and context.kinds:
                self._encoder = shared_encoder()
        self._counted.clear()
        self._restart()

    def _run(self, engine: Engine, network: Network) -> NetworkRun:
        return NetworkRun(engine, network, exit=self.config.exit)

    def _looking(self, network: Network, engine: Engine, threads: int) -> Looker:
        config, manifest = self.config, self._bundle.manifest
        first = None
        if config.first is not None:
            own = {"runtime": config.runtime, "threads": threads, "sure": config.first_sure}
            first = First(self.name, config.first, manifest, **own)
        assert self._pace is not None
        return Looker(manifest, config, Eye(network, self._run(engine, network)), first, self._pace.tick)

    def _restart(self) -> None:
        manifest, config = self._bundle.manifest, self.config
        hop = self._pace.hop if self._pace else Fraction(1)
        self._deciders: dict[str, Decider] = {
            o.name: decider_for(o, config, hop) for o in manifest.outputs if not isinstance(o, Detection)
        }
        self._tracks: Tracks | None = None
        self._cuts: CutFinder | None = None
        if self._detection is not None and self._pace is not None:
            ratio = self._video.width / self._video.height if self._video is not None else 16 / 9
            self._tracks = Tracks(self._detection, config, ratio)
            self._cuts = CutFinder(float(1 / self._pace.tick))
        self._state: Arrays = self._head.initial() if self._head else {}
        watched = manifest.reference is not None and config.drift_seconds > 0
        self._drift = DriftWatch(manifest, config.drift_seconds) if watched else None
        self._last: Moment | None = None
        self._tail: list[tuple[str, Timestamp, Timestamp, NDArray[np.float32]]] = []

    def close(self) -> None:
        """Release the networks."""
        for part in (self._looker, self._ear, self._side, self._head):
            if part is not None:
                part.close()
        self._looker = self._ear = self._side = self._head = self._encoder = None

    # -- heavy part --

    def measure(self, frame: Frame, given: Mapping[str, Measurement]) -> Measurement | None:
        """The looks that the picture completes, packed by `Layout`; None where there are none."""
        if self._looker is None or self._layout is None or self._pace is None:
            return None
        cut = self._cuts.cut(frame) if self._cuts else False
        looks: list[Look] = []
        for place, arrays in self._looker.see(frame):
            if self._detection is not None and (rows := arrays["", self._detection.name]) is not None:
                arrays["", self._detection.name] = with_cut(rows, cut)
            if self._side is not None:
                moment = self._pace.moment(Measurement(frame.time, frame.duration, np.zeros(0)), place)
                heard = self._side.at((moment.start.value + moment.end.value) / 2)
                name = self._bundle.manifest.sounds[0].name
                arrays.update({} if heard is None else flat(name, heard))
            looks.append(Look(place, arrays))
        return Measurement(frame.time, frame.duration, self._layout.pack(looks)) if looks else None

    def warm(self, frame: Frame, given: Mapping[str, Measurement]) -> None:
        """Only clips, states, skipped looks and the look for cuts have memory."""
        if self._cuts:
            self._cuts.cut(frame)
        if self._looker is not None:
            self._looker.warm(frame)

    def hear(self, block: AudioBlock) -> Measurement | None:
        """The looks that the block completes, packed by `Layout`; None where there are none."""
        if self._ear is None or self._layout is None:
            return None
        name = self._bundle.manifest.sounds[0].name
        looks = []
        for place, outputs, samples in self._ear.hear(block):
            arrays = flat(name, outputs)
            if self._bundle.manifest.reference is not None:
                arrays[STATISTICS] = sound_statistics(samples)
            looks.append(Look(place, arrays))
        return Measurement(block.time, block.duration, self._layout.pack(looks)) if looks else None

    # -- light part --

    def analyze(self, window: Window) -> Iterable[Observation]:
        """What the looks and texts that arrived make certain."""
        made: list[Observation] = []
        for m in window.measurements:
            assert self._layout is not None
            assert self._pace is not None
            for look in self._layout.unpack(m.values):
                made += self._take(self._pace.moment(m, look.place), look)
        if self._encoder is not None:
            for o in window.observations:
                made += self._read(o)
        return made

    def _take(self, moment: Moment, look: Look) -> list[Observation]:
        made: list[Observation] = []
        arrays = {k[1]: array for k, array in look.arrays.items() if array is not None and k not in (STATISTICS, HOW)}
        if (how := look.arrays.get(HOW)) is not None:
            self._count(How(int(how[0])))
        if (head := self._bundle.manifest.head) is not None:
            if self._head is None:
                return []
            longest = head.state.gap_seconds if head.state else 0
            if self._last is not None and float(moment.since - self._last.since) > longest > 0:
                self._state = self._head.initial()
            given = {key: array for key, array in look.arrays.items() if array is not None}
            arrays, self._state = self._head.step(given, self._state)
        there = {network for (network, _), array in look.arrays.items() if array is not None}
        told: Arrays = {}
        for output in self._bundle.manifest.outputs:
            if output.rests_on is not None and output.rests_on not in there:
                continue
            if isinstance(output, Detection):
                assert self._tracks is not None
                rows, cut = split_cut(arrays[output.name])
                made += self._tracks.take(moment.since, moment.until, rows, cut=cut)
            else:
                values = joined(arrays, output)
                told[output.name] = values
                steps = output.steps if isinstance(output, Dense | Events) else 1
                made += self._steps(output.name, moment, values, steps)
        if self._drift is not None:
            made += self._drift.take(moment.since, moment.until, look.arrays.get(STATISTICS), told)
        self._last = moment
        return made

    def _count(self, how: How) -> None:
        self._counted["looks"] += 1
        self._counted["made"] += bool(how & How.OWN)
        self._counted["first"] += bool(how & How.FIRST)
        self._counted["parts"] += bool(how & How.PART)
        self._counted["repeated"] += not how & (How.OWN | How.FIRST)
        if self._exits:
            self._counted["early"] += bool(how & How.EARLY)

    @property
    def counted(self) -> Mapping[str, int]:
        """With adaptive settings or an early exit: how many looks there were, how many of them were ``made`` by its own
        networks, by the ``first`` bundle, at ``parts`` of the picture, ``repeated`` from an earlier one, and ``early``.
        """
        return dict(self._counted)

    def _steps(self, name: str, moment: Moment, values: NDArray[np.float32], steps: int) -> list[Observation]:
        """Hand the numbers of a look to a decider, step by step, without what the look does not speak for."""
        decider = self._deciders[name]
        if steps == 1:
            return list(decider.take(moment.since, moment.until, values))
        made: list[Observation] = []
        length = (moment.end - moment.start) / steps
        self._tail = [t for t in self._tail if t[0] != name]
        for number, row in enumerate(values.reshape(steps, -1)):
            since, until = moment.start + number * length, moment.start + (number + 1) * length
            if since >= moment.until:
                self._tail.append((name, since, until, row))
            elif since >= moment.since or self._last is None:
                made += decider.take(since, until, row)
        return made

    def _read(self, o: Observation) -> list[Observation]:
        words = " ".join((o.text or "").split())
        if not words or self._encoder is None or self._head is None:
            return []
        arrays, _ = self._head.read(np.asarray(self._encoder.one(words), np.float32), {})
        made: list[Observation] = []
        for output in self._bundle.manifest.outputs:
            assert not isinstance(output, Detection)
            made += self._deciders[output.name].once(o.span, joined(arrays, output))
        return made

    def held(self, kind: str) -> Timestamp | None:
        """What lasts, and what the next look speaks of."""
        begins = [
            d.since for o in self._bundle.manifest.outputs if (d := self._deciders.get(o.name)) and o.kind == kind
        ]
        if self._tracks is not None and self._detection is not None and kind in ("object", "track"):
            begins.append(self._tracks.held(kind))
        if self._drift is not None and kind == DRIFT:
            begins.append(self._drift.since)
        if self._last is not None:
            begins.append(self._last.until)
        return min((b for b in begins if b is not None), default=None)

    def flush(self) -> Iterable[Observation]:
        """What was still under way at the end."""
        made: list[Observation] = []
        for name, since, until, row in self._tail:
            made += self._deciders[name].take(since, until, row)
        for decider in self._deciders.values():
            made += decider.flush()
        if self._tracks is not None:
            made += self._tracks.finish()
        if self._drift is not None:
            made += self._drift.flush()
        self._restart()
        return made


def analyzer_for(name: str, bundle: Bundle) -> type[BundleAnalyzer]:
    """The class of the analyzer ``name`` that runs a bundle."""
    manifest = bundle.manifest
    return type(
        f"Bundle_{name}",
        (BundleAnalyzer,),
        {
            "__doc__": manifest.title or f"The bundle {name}.",
            "__module__": __name__,
            "name": name,
            "called": name.partition("@")[0],
            "emits": (*manifest.kinds, *((DRIFT,) if manifest.reference is not None else ())),
            "Config": config_for(name, bundle.digest[:16]),
        },
    )
