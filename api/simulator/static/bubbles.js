// One message as a bubble. A bubble is built once; afterwards only its tick changes.

import { button, clockTime, fileSize, icon, make, tick } from "./elements.js";
import { formatted, plain } from "./markup.js";
import { fileAddress } from "./server.js";

const ONLY_EMOJI = /^(?:\p{Extended_Pictographic}|\p{Emoji_Component}|\s){1,12}$/u;
const HAS_EMOJI = /\p{Extended_Pictographic}/u;
const LONG = 700;

export const mine = (message) => message.by === "customer";
export const arrived = (message) => mine(message) || ["delivered", "read", "failed"].includes(message.status);

export function summary(message) {
  const text = plain(message.text);
  if (message.kind === "document") return message.media?.filename || "Document";
  return text || { image: "Photo", video: "Video", audio: "Voice message" }[message.kind] || "";
}

export function shortened(message, className) {
  const node = make("span", className);
  node.dir = "auto";
  const drawn = { image: "camera", video: "camera", audio: "sound", document: "file" }[message.kind];
  if (drawn) node.append(icon(drawn));
  node.append(summary(message));
  return node;
}

export function bubble(message, phone) {
  if (message.status === "failed" && !mine(message)) return failure(message);
  const node = make("article", `message ${mine(message) ? "out" : "in"}`);
  node.dataset.wamid = message.wamid;
  node.dataset.by = message.by;
  node.dataset.status = message.status;
  node.tabIndex = -1;
  const who = mine(message) ? "You" : phone.businessName;
  node.setAttribute("aria-label", `${who}, ${clockTime(message.at)}`);

  const box = make("div", "bubble");
  if (message.quote) box.append(quoted(phone.find(message.quote), phone));
  if (message.header) box.append(make("strong", "bubble-header", message.header));
  if (message.media) box.append(attachment(message));
  if (message.text) box.append(words(message));
  if (message.footer) box.append(make("p", "bubble-footer", message.footer));
  const stamp = make("span", "stamp");
  const time = make("time", "", clockTime(message.at));
  time.dateTime = new Date(message.at * 1000).toISOString();
  stamp.append(time, tick(message.status));
  box.append(stamp);
  if (!mine(message) && message.options.length) box.append(answers(message, phone));

  const reply = button("reply", "Reply to this message", "reply");
  reply.addEventListener("click", () => phone.quoteMessage(message));
  node.append(box, reply);
  node.addEventListener("dblclick", (event) => {
    if (!event.target.closest("button, a")) phone.quoteMessage(message);
  });
  return node;
}

export function showStatus(node, status) {
  if (node.dataset.status === status) return;
  node.dataset.status = status;
  node.querySelector(".tick")?.replaceWith(tick(status));
}

export function quoted(original, phone) {
  const node = make("button", `quoted ${original && mine(original) ? "of-mine" : "of-theirs"}`);
  node.type = "button";
  const who = original && mine(original) ? "You" : phone.businessName;
  const text = original ? summary(original) : "A message that is no longer here";
  node.setAttribute("aria-label", `In reply to ${who}: ${text.slice(0, 80)}`);
  const lines = make("span", "quoted-words");
  lines.append(make("span", "quoted-who", who));
  lines.append(original ? shortened(original, "quoted-text") : make("span", "quoted-text", text));
  node.append(lines);
  if (original?.kind === "image" && original.media) node.append(picture(original.media, "quoted-picture", ""));
  if (original) node.addEventListener("click", () => phone.showMessage(original.wamid));
  return node;
}

function words(message) {
  const only = ONLY_EMOJI.test(message.text) && HAS_EMOJI.test(message.text);
  const node = make("div", only ? "words big" : "words");
  node.dir = "auto";
  node.append(formatted(message.text));
  if (message.text.length <= LONG) return node;
  const whole = make("div", "folded");
  const more = button("more", "Read more");
  more.addEventListener("click", () => {
    whole.classList.remove("folded");
    more.remove();
  });
  whole.append(node, more);
  return whole;
}

function attachment(message) {
  const { media } = message;
  if (message.kind === "image") return picture(media, "photo", media.filename || "Photo");
  const node = make("a", "card");
  node.href = fileAddress(media.media_id);
  node.download = media.filename || "file";
  const name = media.filename || (message.kind === "audio" ? "Voice message" : "File");
  const ending = /\.([a-z0-9]{1,5})$/i.exec(name)?.[1] ?? media.mime_type.split(/[/;]/)[1] ?? "file";
  const sheet = make("span", "card-icon");
  sheet.append(icon(message.kind === "audio" ? "sound" : "file"));
  const lines = make("span", "card-words");
  const title = make("span", "card-name", name);
  title.dir = "auto";
  lines.append(title, make("span", "card-size", `${ending.toUpperCase()} · ${fileSize(media.size)}`));
  node.append(sheet, lines);
  return node;
}

function picture(media, className, alt) {
  const node = make("img", className);
  node.src = fileAddress(media.media_id);
  node.alt = alt;
  return node;
}

function answers(message, phone) {
  const node = make("div", "answers");
  if (message.kind === "list") {
    const opener = answer("list", message.button);
    opener.setAttribute("aria-haspopup", "dialog");
    opener.addEventListener("click", () => phone.openSheet(message));
    node.append(opener);
    return node;
  }
  for (const option of message.options) {
    const choice = answer("reply", option.title);
    choice.addEventListener("click", () => phone.choose(message, option));
    node.append(choice);
  }
  return node;
}

function answer(iconName, label) {
  const node = make("button", "answer");
  node.type = "button";
  const text = make("span", "", label);
  text.dir = "auto";
  node.append(icon(iconName), text);
  return node;
}

function failure(message) {
  const node = make("p", "notice failed", `A message was not delivered: ${message.error}`);
  node.dataset.wamid = message.wamid;
  node.dataset.by = "business";
  node.dataset.status = "failed";
  return node;
}
