// The panel "Meta": what goes wrong, what time it is there, and what Meta has to say.

import { button, make } from "./elements.js";
import * as server from "./server.js";
import { NEWS, TROUBLES, nameOf } from "./troubles.js";

const TIMES = [["1 hour", 3600], ["25 hours", 90000], ["8 days", 691200]];
const at = (id) => document.getElementById(id);

export function openPanel(customers) {
  const toggle = at("meta-toggle");
  const panel = at("meta");
  fillChoices();

  toggle.addEventListener("click", () => show(panel.hidden));
  panel.addEventListener("keydown", (event) => {
    if (event.key === "Escape") show(false);
  });
  at("fault-kind").addEventListener("change", askForCode);
  at("fault-form").addEventListener("submit", (event) => attempt(event, addFault));
  at("news-form").addEventListener("submit", (event) => attempt(event, tellNews));
  const asking = at("start-over-dialog");
  at("start-over").addEventListener("click", () => asking.showModal());
  at("start-over-cancel").addEventListener("click", () => asking.close());
  at("start-over-form").addEventListener("submit", (event) => {
    asking.close();
    attempt(event, server.startOver); // the page then loads again
  });
  for (const [label, seconds] of TIMES) {
    const pass = button("quiet", label);
    pass.addEventListener("click", (event) => attempt(event, async () => showTime(await server.letPass(seconds))));
    at("times").append(pass);
  }

  function show(open) {
    panel.hidden = !open;
    toggle.setAttribute("aria-expanded", String(open));
    if (!open) {
      toggle.focus();
      return;
    }
    fillCustomers(customers());
    attempt(null, async () => {
      await showFaults();
      showTime(await server.readClock());
    });
    at("fault-kind").focus({ preventScroll: true });
    panel.scrollIntoView({ block: "nearest" });
  }
}

async function attempt(event, act) {
  event?.preventDefault();
  try {
    await act();
    at("meta-complaint").textContent = "";
  } catch (error) {
    at("meta-complaint").textContent = error.message;
  }
}

async function addFault() {
  const fault = { ...chosen(), times: Number(at("fault-times").value), phone: at("fault-phone").value };
  if (fault.code === null) fault.code = Number(at("fault-code").value);
  await server.addFault(fault);
  await showFaults();
}

async function tellNews() {
  await server.tellNews(at("news-what").value, at("news-phone").value);
  at("news-told").textContent = "Told.";
}

async function showFaults() {
  const faults = await server.readFaults();
  const list = at("faults");
  list.replaceChildren();
  for (const fault of faults) {
    const row = make("li", "fault");
    const left = fault.then === "lost" || fault.times === 0 ? "until removed" : `${fault.times} left`;
    const words = make("span", "", nameOf(fault));
    words.append(make("small", "", `${fault.phone ? `+${fault.phone}, ` : ""}${left}`));
    const remove = button("strip-close", `Remove: ${nameOf(fault)}`, "close");
    remove.addEventListener("click", (event) =>
      attempt(event, async () => {
        await server.removeFault(fault.fault_id).catch(() => {}); // it may be used up by now
        await showFaults();
        at("fault-kind").focus();
      }),
    );
    row.append(words, remove);
    list.append(row);
  }
  at("no-faults").hidden = faults.length > 0;
}

function showTime({ now }) {
  const time = new Date(now * 1000);
  at("clock").textContent = time.toLocaleString([], { weekday: "short", day: "numeric", month: "short", hour: "2-digit", minute: "2-digit", hour12: false });
}

function chosen() {
  const [group, place] = at("fault-kind").value.split(".").map(Number);
  return TROUBLES[group][1][place][1];
}

function askForCode() {
  at("fault-code-field").hidden = chosen().code !== null;
  at("fault-code").required = chosen().code === null;
}

function fillChoices() {
  TROUBLES.forEach(([title, troubles], group) => {
    const part = make("optgroup");
    part.label = title;
    troubles.forEach(([label], place) => part.append(option(label, `${group}.${place}`)));
    at("fault-kind").append(part);
  });
  at("news-what").append(...NEWS.map(([what, label]) => option(label, what)));
  askForCode();
}

function fillCustomers(phones) {
  const all = phones.map((phone) => option(phone.name, phone.number));
  at("fault-phone").replaceChildren(option("Everybody", ""), ...all.map((one) => one.cloneNode(true)));
  at("news-phone").replaceChildren(...all);
}

function option(label, value) {
  const node = make("option", "", label);
  node.value = value;
  return node;
}
