"""Figures for Prometheus and for /stats, collected when they are asked for."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily
from prometheus_client.metrics_core import Metric

from sidestream.live.studio import Health
from sidestream.server.sessions import Sessions

HEALTHS: tuple[Health, ...] = ("starting", "ok", "degraded", "draining", "failed")


def figures(sessions: Sessions) -> dict[str, float]:
    return {
        "sessions": len(sessions),
        "seats": sessions.seats,
        "waiting": len(sessions.line),
        **{f"sessions_{name}": count for name, count in sessions.counts.items()},
        **{f"studio_{name}": float(value) for name, value in sessions.studio.stats().items()},
    }


class Collector:
    def __init__(self, sessions: Sessions) -> None:
        self._sessions = sessions

    def collect(self) -> Iterable[Metric]:
        counted = {f"sessions_{name}" for name in self._sessions.counts}
        for name, value in figures(self._sessions).items():
            kind = CounterMetricFamily if name in counted else GaugeMetricFamily
            yield kind(f"sidestream_{name}", name.replace("_", " "), value=value)
        health = GaugeMetricFamily(
            "sidestream_health", "1 for the state it is in", labels=["state"]
        )
        for name in HEALTHS:
            health.add_metric([name], float(self._sessions.health == name))
        yield health


def exposition(sessions: Sessions) -> bytes:
    registry = CollectorRegistry(auto_describe=False)
    registry.register(Collector(sessions))
    return generate_latest(registry)


def as_json(sessions: Sessions) -> Mapping[str, object]:
    state = sessions.studio.state
    return {"health": sessions.health, "reason": state.reason, "figures": figures(sessions)}
