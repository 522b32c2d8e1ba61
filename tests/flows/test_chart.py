"""The committed drawings are those of the tables that run."""

from __future__ import annotations

from pathlib import Path

import pytest

from flows.chart import draw_chart, find_chart_file, write_charts
from flows.engine.machine import Flow
from flows.scripts.open_ticket import FLOWS


@pytest.mark.parametrize("flow", FLOWS.values(), ids=FLOWS)
def test_is_fresh(flow: Flow) -> None:
    path = find_chart_file(flow)
    drawn = path.read_text(encoding="utf-8") if path.exists() else ""
    assert drawn == draw_chart(flow), f"{path.name} is stale: run `make transcripts`, and look at `git diff`"


@pytest.mark.parametrize("flow", FLOWS.values(), ids=FLOWS)
def test_shows_every_state_and_every_button(flow: Flow) -> None:
    drawing = draw_chart(flow)
    for state in flow.states:
        assert f"{state.name} -->" in drawing
        assert f"--> {state.name}" in drawing
        assert all(f"[{choice.label}]" in drawing for choice in state.choices)


def test_writes_only_what_changed(tmp_path: Path) -> None:
    assert [path.name for path in write_charts(tmp_path)] == [f"{name}.mmd" for name in FLOWS]
    assert write_charts(tmp_path) == []
