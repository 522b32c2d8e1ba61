// The list that slides up from the bottom of a phone: one row is chosen, then sent.

import { button, make } from "./elements.js";

export function openSheet(frame, message, send) {
  const before = document.activeElement;
  const cover = make("div", "cover");
  const sheet = make("div", "sheet");
  sheet.setAttribute("role", "dialog");
  sheet.setAttribute("aria-modal", "true");
  sheet.setAttribute("aria-label", message.button);

  const head = make("div", "sheet-head");
  const close = button("sheet-close", "Close", "close");
  head.append(close, make("h3", "", message.button));
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
    const title = make("span", "sheet-title", option.title);
    words.append(title);
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
  go.addEventListener("click", () => {
    shut();
    send(chosen);
  });

  const foot = make("div", "sheet-foot");
  foot.append(go);
  sheet.append(head, make("p", "sheet-hint", "Tap to select an item"), rows, foot);
  cover.append(sheet);
  frame.append(cover);
  close.focus({ preventScroll: true });
}

function keepInside(event, sheet) {
  const stops = [...sheet.querySelectorAll("button:not(:disabled), input")];
  const edge = event.shiftKey ? stops[0] : stops[stops.length - 1];
  if (document.activeElement !== edge) return;
  event.preventDefault();
  stops[event.shiftKey ? stops.length - 1 : 0].focus();
}
