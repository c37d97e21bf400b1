"""The analyzer of an added bundle; see README.md."""

from __future__ import annotations

from collections import Counter, deque
from collections.abc import Iterable, Mapping
from dataclasses import replace
from fractions import Fraction
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from onlooker.analyzers._cuts import CutFinder, split_cut, with_cut
from onlooker.analyzers._gate import GATE_WIDTH
from onlooker.analyzers._sound_stream import BLOCK
from onlooker.analyzers.bundle.adaptive import Looker, stretch_seconds
from onlooker.analyzers.bundle.beside import Beside
from onlooker.analyzers.bundle.cascade import First, first_bundle
from onlooker.analyzers.bundle.certainty import joined
from onlooker.analyzers.bundle.checks import check_settings
from onlooker.analyzers.bundle.config import HEAVY_FIELDS, BundleConfig, config_for
from onlooker.analyzers.bundle.deciding import Decider, decider_for
from onlooker.analyzers.bundle.drift import DRIFT, DriftWatch
from onlooker.analyzers.bundle.hearing import Ear, SideSound
from onlooker.analyzers.bundle.looks import HOW, STATISTICS, How, Layout, Look, Moment, Pace, flat
from onlooker.analyzers.bundle.measuring import Gauge, digest_of, series_beside
from onlooker.analyzers.bundle.reading import Words, words_of
from onlooker.analyzers.bundle.seeing import Eye, look_back
from onlooker.analyzers.bundle.stepping import Steps
from onlooker.analyzers.bundle.tracking import Tracks
from onlooker.bundles import Bundle
from onlooker.bundles.added import added_bundle
from onlooker.bundles.drift import sound_statistics
from onlooker.bundles.inputs import ClipInput, FrameInput, SoundInput
from onlooker.bundles.manifest import Network
from onlooker.bundles.networks import TEXT
from onlooker.bundles.outputs import Dense, Detection, Events
from onlooker.bundles.running import Engine, HeadRun, NetworkRun
from onlooker.bundles.series import SUFFIX
from onlooker.bundles.words import Reader, reader_of
from onlooker.core.analyzer import Analyzer, Context, Needs, Window
from onlooker.core.measurement import Measurement
from onlooker.core.media import AudioBlock, Frame, SourceInfo
from onlooker.core.observation import Observation
from onlooker.core.time import Timestamp
from onlooker.models.sentences import MODELS

__all__ = ["BundleAnalyzer", "analyzer_for"]

Arrays = dict[str, NDArray[Any]]


class BundleAnalyzer(Analyzer[BundleConfig]):
    """Runs a bundle; `analyzer_for` makes the class of each.

    Attributes:
        called: the name under which the bundle was added; ``name`` is that too, or ``NAME@VERSION``.
    """

    version: ClassVar[str] = "2"
    called: ClassVar[str]
    Config = BundleConfig
    measurement_fields: ClassVar[frozenset[str] | None] = HEAVY_FIELDS

    def __init__(self, config: BundleConfig) -> None:
        super().__init__(config)
        self._bundle = added_bundle(self.called, config.version or None)
        manifest = self._bundle.manifest
        check_settings(self.name, manifest, config)
        if config.first is not None:
            # the version goes with the settings to worker processes, as the bundle's own does
            pinned, _ = first_bundle(self.name, config.first, self._bundle)
            self.config = config = config.model_copy(update={"first": pinned})
        if config.series is not None:
            digest = digest_of(self.name, config.series)
            self.config = config = config.model_copy(update={"series_digest": digest})
        self._detection = next((o for o in manifest.outputs if isinstance(o, Detection)), None)
        self._exits = any(n.exit is not None for n in manifest.networks)
        self._layout = Layout(manifest, how=config.adaptive or self._exits) if manifest.networks else None
        self._pace = Pace(manifest, config.rate) if manifest.networks else None
        self._looker: Looker | None = None
        self._ear: Ear | None = None
        self._gauge: Gauge | None = None
        self._beside: Beside | None = None
        self._head: HeadRun | None = None
        self._reader: Reader | None = None
        self._source: SourceInfo | None = None
        self._counted: Counter[str] = Counter()
        self._restart()

    @property
    def bundle(self) -> Bundle:
        """What it runs."""
        return self._bundle

    def needs(self) -> Needs:
        """Pictures or sound as the bundle's facts say, beside decoding; a series; and whatever has text."""
        manifest = self._bundle.manifest
        text = manifest.reads
        reading: dict[str, Any] = {"wishes": text.kinds} if text is not None else {}
        if text is not None and text.encoder == "sentence-encoder":
            reading["models"] = MODELS
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
            return Needs(frames="all", rate=1 / self._pace.tick, image=image, look_back=back, heavy=True, **reading)
        if manifest.sounds:
            facts = manifest.sounds[0].input
            assert isinstance(facts, SoundInput)
            return Needs(audio_rate=facts.sample_rate, audio_block=BLOCK, heavy=True, **reading)
        if manifest.series is not None:
            reading["beside"] = () if self.config.series is not None else (SUFFIX,)
        return Needs(**reading)

    def _pictured(self) -> Network | None:
        return next((n for n in self._bundle.manifest.networks if isinstance(n.input, FrameInput | ClipInput)), None)

    @property
    def _measures_alone(self) -> bool:
        return not self._bundle.manifest.pictures and not self._bundle.manifest.sounds

    def bundle_digest(self) -> str | None:
        """The bundle's."""
        return self._bundle.digest

    def open(self, context: Context) -> None:
        """Load the networks that the source has something for, and the head."""
        manifest = self._bundle.manifest
        self._bundle = added_bundle(self.called, self._bundle.digest, check=True)
        engine = Engine(self._bundle, name=self.config.runtime, threads=context.threads)
        self._source = context.source
        pictured, side = self._pictured(), None
        if pictured is not None and context.source.video is not None:
            self._looker = self._looking(pictured, engine, context.threads)
            if manifest.sounds and context.source.audio and context.read is not None:
                side = SideSound(manifest.sounds[0], self._run(engine, manifest.sounds[0]), context.read)
        elif pictured is None and manifest.sounds:
            self._ear = Ear(manifest.sounds[0], self._run(engine, manifest.sounds[0]), context.read)
        if manifest.series is not None and not (context.heavy_only and self._measures_alone):
            series = series_beside(context.source, self.config.series, manifest.series)
            if series is not None:
                self._gauge = Gauge(manifest.series, self._run(engine, manifest.series), series)
        if self._pace is not None:
            self._beside = Beside(manifest, self._pace, side, self._gauge)
        if manifest.head is not None and not context.heavy_only:
            self._head = HeadRun(engine, manifest.head)
            if manifest.reads is not None and context.kinds:
                self._reader = reader_of(manifest.reads)
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
            video = self._source.video if self._source is not None else None
            ratio = video.width / video.height if video is not None else 16 / 9
            self._tracks = Tracks(self._detection, config, ratio)
            self._cuts = CutFinder(float(1 / self._pace.tick))
        self._state: Arrays = self._head.initial() if self._head else {}
        watched = manifest.reference is not None and config.drift_seconds > 0
        self._drift = DriftWatch(manifest, config.drift_seconds) if watched else None
        self._last: Moment | None = None
        self._words = Words(self._reader) if self._reader is not None and manifest.networks else None
        self._waiting: deque[tuple[Moment, Look]] = deque()
        self._steps = {
            o.name: Steps(self._deciders[o.name], o.steps if isinstance(o, Dense | Events) else 1)
            for o in manifest.outputs
            if o.name in self._deciders
        }

    def close(self) -> None:
        """Release the networks."""
        for part in (self._looker, self._ear, self._beside, self._head):
            if part is not None:
                part.close()
        self._looker = self._ear = self._gauge = self._beside = self._head = self._reader = self._words = None

    # -- heavy part --

    def measure(self, frame: Frame, given: Mapping[str, Measurement]) -> Measurement | None:
        """The looks that the picture completes, packed by `Layout`; None where there are none."""
        if self._looker is None or self._layout is None or self._pace is None:
            return None
        cut = self._cuts.cut(frame) if self._cuts else False
        looks: list[Look] = []
        last = self._pace.ends(frame.time, frame.duration, self._source)
        for place, arrays in self._looker.see(frame, last=last):
            if self._detection is not None and (rows := arrays["", self._detection.name]) is not None:
                arrays["", self._detection.name] = with_cut(rows, cut)
            arrays.update(self._beside.around(frame.time, frame.duration, place) if self._beside else {})
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
        if self._ear is None or self._layout is None or self._pace is None:
            return None
        last = self._pace.ends(block.time, block.duration, self._source)
        name = self._bundle.manifest.sounds[0].name
        looks = []
        for place, outputs, samples in self._ear.hear(block, last=last):
            beside = self._beside.around(block.time, block.duration, place) if self._beside else {}
            arrays = {**flat(name, outputs), **beside}
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
                made += self._look(self._pace.moment(m, look.place, self._source), look)
        for o in window.observations:
            if self._words is not None:
                self._words.take(o)
            elif self._reader is not None:
                made += self._read(o)
        if self._words is not None and self._source is not None and self._source.live:
            wait = Fraction(round(self.config.text_seconds * 1000), 1000)
            while self._waiting and window.end - self._waiting[0][0].end >= wait:
                made += self._take(*self._waiting.popleft())
        return made

    def _look(self, moment: Moment, look: Look) -> list[Observation]:
        """A look, which waits where a text may still come that was said or written in it."""
        if self._words is None:
            return self._take(moment, look)
        self._waiting.append((moment, look))
        return []

    def _measured(self) -> list[Observation]:
        """The looks at a series alone, all of which is known from the beginning."""
        made: list[Observation] = []
        if self._gauge is None or not self._measures_alone or self._layout is None or self._pace is None:
            return made
        duration = self._source.duration if self._source is not None else None
        name = self._bundle.manifest.networks[0].name
        zero = Measurement(Timestamp(0, Fraction(1)), Fraction(0), np.zeros(0))
        for place, outputs in self._gauge.looks(duration):
            for look in self._layout.unpack(self._layout.pack([Look(place, flat(name, outputs))])):
                made += self._look(self._pace.moment(zero, place), look)
        return made

    def _take(self, moment: Moment, look: Look) -> list[Observation]:
        made: list[Observation] = []
        if self._last is not None and moment.since < self._last.until:
            moment = replace(moment, since=self._last.until)
            if moment.since >= moment.until:
                return made
        arrays = {k[1]: array for k, array in look.arrays.items() if array is not None and k not in (STATISTICS, HOW)}
        if (how := look.arrays.get(HOW)) is not None:
            self._count(How(int(how[0])))
        there = {network for (network, _), array in look.arrays.items() if array is not None}
        if (head := self._bundle.manifest.head) is not None:
            if self._head is None:
                return []
            longest = head.state.gap_seconds if head.state else 0
            if self._last is not None and float(moment.since - self._last.since) > longest > 0:
                self._state = self._head.initial()
            given = {key: array for key, array in look.arrays.items() if array is not None}
            vector = self._words.within(moment.start, moment.end) if self._words is not None else None
            arrays, self._state = self._head.step(given, self._state, vector)
            there |= {TEXT} if vector is not None else set()
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
                made += self._steps[output.name].take(moment, values)
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

    def _read(self, o: Observation) -> list[Observation]:
        words = words_of(o)
        if not words or self._reader is None or self._head is None:
            return []
        arrays, _ = self._head.step({}, {}, np.asarray(self._reader(words), np.float32))
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
        if self._waiting:
            begins.append(self._waiting[0][0].since)
        if self._last is not None:
            begins.append(self._last.until)
        return min((b for b in begins if b is not None), default=None)

    def flush(self) -> Iterable[Observation]:
        """What was still under way at the end."""
        made = self._measured()
        while self._waiting:
            made += self._take(*self._waiting.popleft())
        for steps in self._steps.values():
            made += steps.finish()
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
