"""Draws a flow's table as a state chart in Mermaid (https://mermaid.js.org), so that what is drawn is what runs.

The drawings are committed beside the flows: a change of the conversation shows in review as a changed picture.
"""

from __future__ import annotations

from pathlib import Path

from flows.engine.definition import Intent, Row
from flows.engine.machine import Flow
from flows.scripts.open_ticket import FLOWS

HERE = Path(__file__).parent
ANYWHERE = "anywhere"  # the node from which the arrows lead that hold in every state


def draw_chart(flow: Flow) -> str:
    """Returns the chart of a flow. Rows that hold everywhere and lead nowhere else are left out."""
    lines = ["stateDiagram-v2", f"    [*] --> {flow.states[0].name}"]
    for state in flow.states:
        labels = {choice.name: f"[{choice.label}]" for choice in state.choices}
        lines += [_draw_arrow(state.name, row, labels) for row in state.own_rows]
    lines.append(f"    state {ANYWHERE} <<choice>>")
    labels = {c.name: f"[{c.label}]" for state in flow.states for c in state.choices if c.name not in set(Intent)}
    lines += [_draw_arrow(ANYWHERE, row, labels) for row in flow.everywhere if row.then]
    return "\n".join(lines) + "\n"


def find_chart_file(flow: Flow, folder: Path = HERE) -> Path:
    """Returns where the chart of a flow is committed."""
    return folder / f"{flow.name}.mmd"


def write_charts(folder: Path = HERE) -> list[Path]:
    """Draws every flow anew and returns the files that changed."""
    changed = []
    for flow in FLOWS.values():
        path, drawing = find_chart_file(flow, folder), draw_chart(flow)
        if not path.exists() or path.read_text(encoding="utf-8") != drawing:
            path.write_text(drawing, encoding="utf-8")
            changed.append(path)
    return changed


def _draw_arrow(source: str, row: Row, labels: dict[str, str]) -> str:
    intents = ", ".join(labels.get(name, name.replace("_", " ")) for name in row.all_intents)
    condition = f" if {row.when.__name__.removeprefix('is_').replace('_', ' ')}" if row.when else ""
    return f"    {source} --> {row.then or source}: {intents}{condition}"
