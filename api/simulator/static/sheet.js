// A sheet that slides up from the bottom of a phone: a list of which one row is chosen and sent, or a few things to do.

import { button, icon, make } from "./elements.js";

// Opens a sheet with this content; what it answers closes it.
function raise(frame, label, ...content) {
  const before = document.activeElement;
  const cover = make("div", "cover");
  const sheet = make("div", "sheet");
  sheet.setAttribute("role", "dialog");
  sheet.setAttribute("aria-modal", "true");
  sheet.setAttribute("aria-label", label);
  const head = make("div", "sheet-head");
  const close = button("sheet-close", "Close", "close");
  head.append(close, make("h3", "", label));
  sheet.append(head, ...content);
  cover.append(sheet);

  const shut = () => {
    cover.remove();
    before?.focus?.();
  };
  close.addEventListener("click", shut);
  cover.addEventListener("click", (event) => {
    if (event.target === cover) shut();
  });
  cover.addEventListener("keydown", (event) => {
    if (event.key === "Escape") shut();
    if (event.key === "Tab") keepInside(event, sheet);
  });
  frame.append(cover);
  close.focus({ preventScroll: true });
  return shut;
}

export function openSheet(frame, message, send) {
  const rows = make("div", "sheet-rows");
  rows.setAttribute("role", "radiogroup");
  rows.setAttribute("aria-label", message.button);
  const go = button("sheet-send", "Send");
  go.setAttribute("aria-label", "Send choice");
  go.disabled = true;
  let chosen = null;

  let section = "";
  message.options.forEach((option, place) => {
    if (option.section && option.section !== section) rows.append(make("h4", "sheet-section", option.section));
    section = option.section;
    const row = make("label", "sheet-row");
    const words = make("span", "sheet-words");
    words.dir = "auto";
    words.append(make("span", "sheet-title", option.title));
    const radio = make("input");
    radio.type = "radio";
    radio.name = `row-${message.wamid}`;
    radio.setAttribute("aria-label", option.title);
    if (option.description) {
      const more = make("span", "sheet-description", option.description);
      more.id = `about-${message.wamid}-${place}`;
      radio.setAttribute("aria-describedby", more.id);
      words.append(more);
    }
    radio.addEventListener("change", () => {
      chosen = option;
      go.disabled = false;
    });
    row.append(words, radio);
    rows.append(row);
  });

  const foot = make("div", "sheet-foot");
  foot.append(go);
  const shut = raise(frame, message.button, make("p", "sheet-hint", "Tap to select an item"), rows, foot);
  go.addEventListener("click", () => {
    shut();
    send(chosen);
  });
}

// `things`: {label, icon, act}; `emoji`, where there is one to choose: {all, chosen, act}.
export function openMenu(frame, label, things, emoji = null) {
  const rows = make("div", "sheet-rows sheet-things");
  let shut = () => {};
  if (emoji) {
    const line = make("div", "sheet-emoji");
    line.setAttribute("role", "group");
    line.setAttribute("aria-label", "Reactions");
    for (const one of emoji.all) {
      const choice = button("emoji", one);
      choice.setAttribute("aria-pressed", String(one === emoji.chosen));
      choice.addEventListener("click", () => {
        shut();
        emoji.act(one === emoji.chosen ? "" : one);
      });
      line.append(choice);
    }
    rows.append(line);
  }
  for (const thing of things) {
    const row = make("button", "sheet-thing");
    row.type = "button";
    row.append(icon(thing.icon), make("span", "", thing.label));
    row.addEventListener("click", () => {
      shut();
      thing.act();
    });
    rows.append(row);
  }
  shut = raise(frame, label, rows);
}

function keepInside(event, sheet) {
  const stops = [...sheet.querySelectorAll("button:not(:disabled), input")];
  const edge = event.shiftKey ? stops[0] : stops[stops.length - 1];
  if (document.activeElement !== edge) return;
  event.preventDefault();
  stops[event.shiftKey ? stops.length - 1 : 0].focus();
}
