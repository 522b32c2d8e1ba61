// WhatsApp's markup as nodes: *bold* _italic_ ~strike~ ```mono``` `code`, and addresses as plain links.
// What does not close, or would begin in the middle of a word, stays as it was typed.

import { make } from "./elements.js";

const STYLES = { "*": "strong", "_": "em", "~": "s" };
const BLOCK = /```([\s\S]+?)```|`([^`\n]+)`|(https?:\/\/[^\s<>"]+[^\s<>"'.,;:!?)\]*_~])/g;
const WORD = /[\p{L}\p{N}]/u;
const DEEPEST = 4;

export function formatted(text) {
  const whole = document.createDocumentFragment();
  let from = 0;
  for (const found of text.matchAll(BLOCK)) {
    whole.append(styled(text.slice(from, found.index), 0));
    if (found[3]) whole.append(link(found[3]));
    else whole.append(make("code", found[1] ? "mono" : "inline-code", found[1] ?? found[2]));
    from = found.index + found[0].length;
  }
  whole.append(styled(text.slice(from), 0));
  return whole;
}

export function plain(text) {
  return formatted(text).textContent;
}

function styled(text, depth) {
  const whole = document.createDocumentFragment();
  let from = 0;
  for (let at = 0; at < text.length; at += 1) {
    const tag = STYLES[text[at]];
    const end = tag && depth < DEEPEST && opens(text, at) ? closing(text, at) : -1;
    if (end < 0) continue;
    whole.append(text.slice(from, at));
    const inner = make(tag);
    inner.append(styled(text.slice(at + 1, end), depth + 1));
    whole.append(inner);
    from = end + 1;
    at = end;
  }
  whole.append(text.slice(from));
  return whole;
}

function opens(text, at) {
  const next = text[at + 1];
  return Boolean(next) && !/\s/.test(next) && next !== text[at] && !(at > 0 && WORD.test(text[at - 1]));
}

function closing(text, at) {
  const line = text.indexOf("\n", at);
  const last = line < 0 ? text.length : line;
  for (let end = text.indexOf(text[at], at + 2); end >= 0 && end < last; end = text.indexOf(text[at], end + 1)) {
    const after = text[end + 1];
    if (!/\s/.test(text[end - 1]) && !(after && WORD.test(after))) return end;
  }
  return -1;
}

function link(address) {
  const node = make("a", "", address);
  node.href = address;
  node.target = "_blank";
  node.rel = "noopener noreferrer nofollow";
  return node;
}
