// Where a customer writes: text, emoji, a file, an answer to one message. Enter sends, Shift+Enter breaks the line.
// What could not be sent stays in the field.

import { button, icon, make } from "./elements.js";
import { quoted } from "./bubbles.js";
import * as server from "./server.js";
import { openMenu } from "./sheet.js";

const EMOJI = [..."😀😂😊😍😎🤔😢😡👍👎👌🙏👏💪🙌👋❤️🔥🎉✅❌⚠️❓💡📞📷📄💻🖨️🔑⏰☕"].reduce((all, char) => {
  if (char === "\ufe0f") all[all.length - 1] += char;
  else all.push(char);
  return all;
}, []);

export class Composer {
  constructor(phone) {
    this.phone = phone;
    this.quote = null;
    this.file = null;
    this.edited = null;
    this.node = make("form", "composer");
    this.node.setAttribute("aria-label", "Write");
    this.strip = make("div", "strip");
    this.complaint = make("p", "complaint");
    this.complaint.setAttribute("role", "alert");
    this.field = make("textarea", "field");
    this.field.rows = 1;
    this.field.dir = "auto";
    this.field.placeholder = "Message";
    this.field.setAttribute("aria-label", "Type a message");
    this.picker = make("input", "picker");
    this.picker.type = "file";
    this.picker.tabIndex = -1;
    this.picker.setAttribute("aria-label", "File to send");
    this.build();
  }

  build() {
    const emoji = button("tool", "Emoji", "emoji");
    const attach = button("tool", "Attach", "attach");
    attach.setAttribute("aria-haspopup", "dialog");
    const send = button("send", "Send message", "send");
    send.type = "submit";
    const pill = make("div", "pill");
    const row = make("div", "pill-row");
    row.append(emoji, this.field, attach, this.picker);
    pill.append(this.strip, row);
    this.palette = this.emojiPalette();
    this.node.append(this.complaint, this.palette, pill, send);

    emoji.setAttribute("aria-expanded", "false");
    emoji.addEventListener("click", () => {
      this.palette.hidden = !this.palette.hidden;
      emoji.setAttribute("aria-expanded", String(!this.palette.hidden));
    });
    attach.addEventListener("click", () => this.openAttachments());
    this.picker.addEventListener("change", () => this.attach(this.picker.files[0] ?? null));
    this.field.addEventListener("input", () => this.grow());
    this.field.addEventListener("keydown", (event) => {
      if (event.key === "Escape") this.clearStrip();
      if (event.key !== "Enter" || event.shiftKey || event.isComposing) return;
      event.preventDefault();
      this.send();
    });
    this.field.addEventListener("paste", (event) => {
      const file = event.clipboardData?.files?.[0];
      if (!file) return;
      event.preventDefault();
      this.attach(file);
    });
    this.node.addEventListener("submit", (event) => {
      event.preventDefault();
      this.send();
    });
  }

  openAttachments() {
    const { phone } = this;
    openMenu(phone.chat, "Attach", [
      { label: "Photo or file", icon: "file", act: () => this.picker.click() },
      { label: "Voice message", icon: "sound", act: () => phone.sendSample("voice.ogg", "voice", "audio/ogg; codecs=opus") },
      { label: "Sticker", icon: "smile", act: () => phone.sendSample("sticker.webp", "sticker", "image/webp") },
      { label: "Location", icon: "place", act: () => phone.sendPlace() },
      { label: "Contact card", icon: "person", act: () => phone.sendCard() },
    ]);
  }

  editMessage(message) {
    this.clearStrip();
    this.edited = message;
    this.field.value = message.text;
    this.showStrip();
    this.grow();
    this.field.focus();
  }

  answerTo(message) {
    this.quote = message;
    this.file = null;
    this.edited = null;
    this.showStrip();
    this.field.focus();
  }

  attach(file) {
    this.picker.value = "";
    if (!file) return;
    this.file = file;
    this.showStrip();
    this.field.focus();
  }

  async send() {
    const text = this.field.value;
    const { file, quote, edited } = this;
    if ((!text.trim() && !file) || this.busy) return;
    this.busy = true;
    try {
      const { number } = this.phone;
      if (edited) await server.edit(number, edited.wamid, text);
      else if (file) await server.sendFile(number, file, text.trim(), quote?.wamid ?? "");
      else await server.sendText(number, text, quote?.wamid ?? "");
      this.field.value = "";
      this.complaint.textContent = "";
      this.palette.hidden = true;
      this.clearStrip();
      this.grow();
    } catch (error) {
      this.complaint.textContent = error.message;
    } finally {
      this.busy = false;
    }
  }

  clearStrip() {
    if (this.edited) this.field.value = "";
    this.quote = null;
    this.file = null;
    this.edited = null;
    this.showStrip();
  }

  showStrip() {
    if (this.preview) URL.revokeObjectURL(this.preview);
    this.preview = "";
    this.strip.replaceChildren();
    if (this.quote) this.strip.append(this.stripRow(quoted(this.quote, this.phone), "Quoted message", "Cancel quote", "quote"));
    if (this.file) this.strip.append(this.stripRow(this.filePreview(), "File to send", "Remove file", "file"));
    if (this.edited) this.strip.append(this.stripRow(quoted(this.edited, this.phone), "Message to edit", "Cancel edit", "edited"));
    this.field.placeholder = this.file ? "Add a caption" : "Message";
  }

  stripRow(content, label, cancelLabel, what) {
    const row = make("div", "strip-row");
    row.setAttribute("role", "group");
    row.setAttribute("aria-label", label);
    const cancel = button("strip-close", cancelLabel, "close");
    cancel.addEventListener("click", () => {
      if (what === "edited") this.field.value = "";
      this[what] = null;
      this.showStrip();
      this.field.focus();
    });
    row.append(content, cancel);
    return row;
  }

  filePreview() {
    const node = make("div", "strip-file");
    if (/^image\/(png|jpeg)$/.test(this.file.type)) {
      this.preview = URL.createObjectURL(this.file);
      const image = make("img");
      image.src = this.preview;
      image.alt = "";
      node.append(image);
    } else {
      node.append(icon("file"));
    }
    node.append(make("span", "", this.file.name));
    return node;
  }

  emojiPalette() {
    const node = make("div", "palette");
    node.hidden = true;
    node.setAttribute("role", "group");
    node.setAttribute("aria-label", "Emoji to insert");
    for (const emoji of EMOJI) {
      const one = button("emoji", emoji);
      one.addEventListener("click", () => {
        this.field.setRangeText(emoji, this.field.selectionStart, this.field.selectionEnd, "end");
        this.field.focus();
        this.grow();
      });
      node.append(one);
    }
    return node;
  }

  grow() {
    this.node.classList.toggle("written", this.field.value.trim() !== "");
    this.field.style.height = "auto";
    this.field.style.height = `${Math.min(this.field.scrollHeight, 120)}px`;
  }
}
