"""The template by which README shows how a notice is carried is there in the demo, and fits as it is written there."""

import json
import re

from api.simulator.setup import TEMPLATES
from bot.templates.parameters import ParameterMapping, find_mismatches, parse_components
from storage.templates import APPROVED
from tests.support.places import ROOT

COMMAND = re.compile(r"-X PUT \S+/api/whatsapp/notices/(\w+)/(\w+) [^{]*?(\{.*?\})'", re.DOTALL)


def test_the_template_that_readme_names_carries_what_readme_says() -> None:
    [(kind, language, body)] = COMMAND.findall((ROOT / "README.md").read_text("utf-8"))
    choice = json.loads(body)
    named = (choice["template"], language)
    [found] = [one for one in TEMPLATES if (one["name"], one["language"]) == named]
    assert found["status"] == APPROVED
    components = parse_components(json.dumps(found["components"]), found["category"])
    assert find_mismatches(kind, components, ParameterMapping.from_request(choice["body"], [])) == []
