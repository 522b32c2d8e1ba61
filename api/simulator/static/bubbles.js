// One message as a bubble. When its words change it is built anew, else only its tick changes.

import { button, clockTime, fileSize, icon, make, phoneNumber, tick } from "./elements.js";
import { formatted, plain } from "./markup.js";
import { fileAddress } from "./server.js";

const ONLY_EMOJI = /^(?:\p{Extended_Pictographic}|\p{Emoji_Component}|\s){1,12}$/u;
const HAS_EMOJI = /\p{Extended_Pictographic}/u;
const LONG = 700;
const GONE = "This message was deleted";
const KINDS = {
  image: ["camera", "Photo"],
  video: ["camera", "Video"],
  audio: ["sound", "Voice message"],
  document: ["file", ""],
  sticker: ["emoji", "Sticker"],
  location: ["place", "Location"],
  contacts: ["person", "Contact"],
};

export const mine = (message) => message.by === "customer";
export const arrived = (message) => mine(message) || ["delivered", "read", "failed"].includes(message.status);

export function summary(message) {
  if (message.revoked) return GONE;
  const text = plain(message.text);
  if (message.kind === "document") return message.media?.filename || "Document";
  return text || message.extra.name || KINDS[message.kind]?.[1] || "";
}

export function shortened(message, className) {
  const node = make("span", className);
  node.dir = "auto";
  const drawn = KINDS[message.kind]?.[0];
  if (drawn && !message.revoked) node.append(icon(drawn));
  node.append(summary(message));
  return node;
}

// Two of the same look are the same bubble.
export const look = (message) =>
  JSON.stringify([message.text, message.edited, message.revoked, message.reactions, message.status === "failed"]);

export function bubble(message, phone) {
  if (message.status === "failed" && !mine(message)) return failure(message);
  const node = make("article", `message ${mine(message) ? "out" : "in"}`);
  node.dataset.wamid = message.wamid;
  node.dataset.by = message.by;
  node.dataset.status = message.status;
  node.dataset.look = look(message);
  node.tabIndex = -1;
  const who = mine(message) ? "You" : phone.businessName;
  node.setAttribute("aria-label", `${who}, ${clockTime(message.at)}`);

  const box = make("div", message.kind === "sticker" && !message.revoked ? "bubble sticker-bubble" : "bubble");
  if (message.revoked) box.append(gone());
  else content(box, message, phone);
  box.append(stamp(message));
  node.classList.toggle("edited", message.edited);
  if (!mine(message) && message.options.length) box.append(answers(message, phone));
  if (Object.keys(message.reactions).length) box.append(reactions(message, phone));
  node.append(box);
  if (message.revoked) return node;

  const reply = button("reply", "Reply to this message", "reply");
  reply.addEventListener("click", () => phone.quoteMessage(message));
  const more = button("reply", "More for this message", "more");
  more.setAttribute("aria-haspopup", "dialog");
  more.addEventListener("click", () => phone.openMenu(message));
  node.append(reply, more);
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

function content(box, message, phone) {
  if (message.quote) box.append(quoted(phone.find(message.quote), phone));
  if (message.header) box.append(make("strong", "bubble-header", message.header));
  if (message.media) box.append(attachment(message));
  if (message.kind === "location") box.append(place(message.extra));
  if (message.kind === "contacts") box.append(card("person", message.extra.name, phoneNumber(message.extra.phone)));
  if (message.text) box.append(words(message));
  if (message.footer) box.append(make("p", "bubble-footer", message.footer));
}

function stamp(message) {
  const node = make("span", "stamp");
  if (message.edited && !message.revoked) node.append(make("span", "", "Edited"));
  const time = make("time", "", clockTime(message.at));
  time.dateTime = new Date(message.at * 1000).toISOString();
  node.append(time, tick(message.status));
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

function gone() {
  const node = make("p", "gone");
  node.append(icon("gone"), GONE);
  return node;
}

function attachment(message) {
  const { media } = message;
  if (message.kind === "image") return picture(media, "photo", media.filename || "Photo");
  if (message.kind === "sticker") return picture(media, "sticker", "Sticker");
  const name = media.filename || (message.kind === "audio" ? "Voice message" : "File");
  const ending = /\.([a-z0-9]{1,5})$/i.exec(name)?.[1] ?? media.mime_type.split(/[/;]/)[1] ?? "file";
  const drawn = KINDS[message.kind]?.[0] ?? "file";
  const node = card(drawn, name, `${ending.toUpperCase()} · ${fileSize(media.size)}`, "a");
  node.href = fileAddress(media.media_id);
  node.download = media.filename || "file";
  return node;
}

function place(where) {
  const spot = `${where.latitude}, ${where.longitude}`;
  return card("place", where.name || "Location", where.address || spot);
}

function card(iconName, name, below, tag = "div") {
  const node = make(tag, "card");
  const sheet = make("span", `card-icon card-${iconName}`);
  sheet.append(icon(iconName));
  const lines = make("span", "card-words");
  const title = make("span", "card-name", name);
  title.dir = "auto";
  lines.append(title, make("span", "card-size", below));
  node.append(sheet, lines);
  return node;
}

function picture(media, className, alt) {
  const node = make("img", className);
  node.src = fileAddress(media.media_id);
  node.alt = alt;
  return node;
}

function reactions(message, phone) {
  const node = make("span", "reactions", [...new Set(Object.values(message.reactions))].join(""));
  const said = Object.entries(message.reactions).map(
    ([by, emoji]) => `${by === "customer" ? "You" : phone.businessName} reacted ${emoji}`,
  );
  node.setAttribute("role", "img");
  node.setAttribute("aria-label", said.join(", "));
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
  for (const option of message.options) node.append(choice(message, option, phone));
  return node;
}

function choice(message, option, phone) {
  if (option.kind === "url") {
    const link = answer("link", option.title, "a");
    if (/^https?:\/\//.test(option.description)) link.href = option.description;
    link.target = "_blank";
    link.rel = "noopener noreferrer nofollow";
    return link;
  }
  const drawn = { place: "place", number: "person", form: "list" }[option.kind] ?? "reply";
  const node = answer(drawn, option.title);
  node.disabled = option.kind === "form";
  const act = { place: () => phone.sendPlace(message), number: () => phone.sendCard(message) }[option.kind];
  node.addEventListener("click", act ?? (() => phone.choose(message, option)));
  return node;
}

function answer(iconName, label, tag = "button") {
  const node = make(tag, "answer");
  if (tag === "button") node.type = "button";
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
  node.dataset.look = look(message);
  return node;
}
