"""The state chart of a flow, drawn from its table as Mermaid: what is drawn is what runs.

The drawings are committed beside the flows, so that a change of the conversation shows in review as a changed picture.
"""

from __future__ import annotations

from pathlib import Path

from flows.engine.definition import Intent, Row
from flows.engine.machine import Flow
from flows.scripts.open_ticket import FLOWS

HERE = Path(__file__).parent
ANYWHERE = "anywhere"


def chart(flow: Flow) -> str:
    lines = ["stateDiagram-v2", f"    [*] --> {flow.states[0].name}"]
    for state in flow.states:
        taps = {choice.name: f"[{choice.label}]" for choice in state.choices}
        for row in state.own_rows:
            lines.append(_arrow(state.name, row, taps))
    lines.append(f"    state {ANYWHERE} <<choice>>")
    labels = {c.name: f"[{c.label}]" for state in flow.states for c in state.choices if c.name not in set(Intent)}
    lines += [_arrow(ANYWHERE, row, labels) for row in flow.everywhere if row.then]
    return "\n".join(lines) + "\n"


def chart_file(flow: Flow, folder: Path = HERE) -> Path:
    return folder / f"{flow.name}.mmd"


def write_charts(folder: Path = HERE) -> list[Path]:
    """Draws every flow anew and tells the files that changed."""
    changed = []
    for flow in FLOWS.values():
        path, drawing = chart_file(flow, folder), chart(flow)
        if not path.exists() or path.read_text(encoding="utf-8") != drawing:
            path.write_text(drawing, encoding="utf-8")
            changed.append(path)
    return changed


def _arrow(source: str, row: Row, taps: dict[str, str]) -> str:
    intent = ", ".join(taps.get(name, name.replace("_", " ")) for name in row.each)
    when = f" if {row.when.__name__.replace('_', ' ')}" if row.when else ""
    return f"    {source} --> {row.then or source}: {intent}{when}"
